"""The client's side of a server: the append protocol, and the public `Api` over HTTP or in this process."""
