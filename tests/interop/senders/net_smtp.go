// Sends a message by Go's net/smtp. The arguments are those of Target.words in target.py.

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"log"
	"net"
	"net/smtp"
	"os"
)

const host = "127.0.0.1"

var (
	port      = flag.String("port", "", "the port on loopback")
	sender    = flag.String("sender", "", "the reverse-path")
	recipient = flag.String("recipient", "", "the forward-path")
	file      = flag.String("file", "", "the message")
	authority = flag.String("authority", "", "whom to trust: this asks for TLS")
	implicit  = flag.Bool("implicit", false, "TLS from the start")
	mechanism = flag.String("mechanism", "", "the mechanism, if the user is to log in")
	user      = flag.String("user", "", "the user")
	secret    = flag.String("secret", "", "the password")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	if err := send(); err != nil {
		log.Fatal(err)
	}
}

func send() error {
	message, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	client, err := connect()
	if err != nil {
		return err
	}
	defer client.Close()
	if *mechanism != "" {
		auth, err := login()
		if err != nil {
			return err
		}
		if err := client.Auth(auth); err != nil {
			return err
		}
	}
	if err := client.Mail(*sender); err != nil {
		return err
	}
	if err := client.Rcpt(*recipient); err != nil {
		return err
	}
	data, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := data.Write(message); err != nil {
		return err
	}
	if err := data.Close(); err != nil {
		return err
	}
	return client.Quit()
}

func connect() (*smtp.Client, error) {
	address := net.JoinHostPort(host, *port)
	if *authority == "" {
		return smtp.Dial(address)
	}
	pem, err := os.ReadFile(*authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("there is no certificate in " + *authority)
	}
	config := &tls.Config{RootCAs: roots, ServerName: host}
	if *implicit {
		connection, err := tls.Dial("tcp", address, config)
		if err != nil {
			return nil, err
		}
		return smtp.NewClient(connection, host)
	}
	client, err := smtp.Dial(address)
	if err != nil {
		return nil, err
	}
	return client, client.StartTLS(config)
}

func login() (smtp.Auth, error) {
	switch *mechanism {
	case "PLAIN":
		return smtp.PlainAuth("", *user, *secret, host), nil
	case "CRAM-MD5":
		return smtp.CRAMMD5Auth(*user, *secret), nil
	}
	return nil, errors.New("net/smtp has no " + *mechanism)
}
