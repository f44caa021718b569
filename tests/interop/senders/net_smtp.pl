#!/usr/bin/perl
# Sends a message by Perl's Net::SMTP. The arguments are those of Target.words in target.py, and --certificate.

use strict;
use warnings;

use Getopt::Long qw(GetOptions);
use Net::SMTP;

my %of = (authority => '', mechanism => '', certificate => '');
GetOptions(\%of, map({ "$_=s" } qw(port sender recipient file authority mechanism user secret certificate)), 'implicit')
    or die "bad arguments\n";

open(my $file, '<:raw', $of{file}) or die "$of{file}: $!\n";
my $message = do { local $/; <$file> };

my %tls = $of{authority} ? (SSL_ca_file => $of{authority}) : ();
@tls{qw(SSL_cert_file SSL_key_file)} = ($of{certificate}) x 2 if $of{certificate};
my %implicit = $of{implicit} ? (SSL => 1, %tls) : ();
my $client = Net::SMTP->new('127.0.0.1', Port => $of{port}, Hello => 'perl.test', Timeout => 30, %implicit)
    or die "no connection: $@\n";
if ($of{authority} && !$of{implicit}) {
    $client->starttls(%tls) or fail('STARTTLS');
}
if ($of{mechanism}) {
    require Authen::SASL;
    my $user = { user => $of{user}, pass => $of{secret}, authname => '' };
    my $login = Authen::SASL->new(mechanism => $of{mechanism}, callback => $user);
    $client->auth($login) or fail('AUTH');
}
$client->mail($of{sender}, Bits => 8) or fail('MAIL');
$client->to($of{recipient}) or fail('RCPT');
$client->data or fail('DATA');
# In pieces: it copies what it is given several times.
for (my $at = 0; $at < length $message; $at += 65536) {
    $client->datasend(substr $message, $at, 65536) or fail('the message');
}
$client->dataend or fail('the end of the message');
$client->quit;

sub fail {
    my ($what) = @_;
    die "$what: ", $client->code, ' ', $client->message, "\n";
}
