// Package certs holds the certificates that hangar serves HTTPS with: a pair
// of files that is read again when it changes, or what an authority such as
// Let's Encrypt issues (ACME, RFC 8555); and one of hangar's own, by which its
// commands on the same machine know the server.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/acme/autocert"
)

// LocalName is the server name by which the local certificate is asked for. No
// public host can have it: .internal is reserved for private use.
const LocalName = "hangar.internal"

// Local makes a certificate for LocalName, and its PEM text for those who are
// to trust it. Its key is in memory only, so that it vouches for this process;
// for as long as that lives, it does not expire (RFC 5280, 4.1.2.5).
func Local() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("make a local certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: LocalName},
		DNSNames:     []string{LocalName},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("make a local certificate: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, text, nil
}

// WithLocal completes a configuration, which must have GetCertificate: who asks
// for LocalName gets the local certificate; nothing older than TLS 1.2 is
// spoken.
func WithLocal(c *tls.Config, local tls.Certificate) *tls.Config {
	c, public := c.Clone(), c.GetCertificate
	c.MinVersion = tls.VersionTLS12
	c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == LocalName {
			return &local, nil
		}
		return public(hello)
	}
	return c
}

// ClientFor returns a configuration that trusts only the local certificate with
// this PEM text.
func ClientFor(local []byte) (*tls.Config, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(local) {
		return nil, fmt.Errorf("there is no certificate in it")
	}
	return &tls.Config{RootCAs: roots, ServerName: LocalName, MinVersion: tls.VersionTLS12}, nil
}

// Autocert gets certificates for one public host name, and keeps them and its
// account's key in a folder that only its owner can read. They are asked for
// when the first client comes, and renewed in time; the terms of the authority
// are accepted.
func Autocert(host, folder string) *autocert.Manager {
	return &autocert.Manager{Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(folder), HostPolicy: autocert.HostWhitelist(host)}
}
