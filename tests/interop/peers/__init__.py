"""The foreign servers, one module for each. All have the face of `peers.base.Peer`."""
