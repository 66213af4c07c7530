package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"
)

// issue makes a self-signed certificate and its key.
func issue(t *testing.T, host string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs})
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serve answers HTTPS on loopback and returns its address.
func serve(t *testing.T, c *tls.Config) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{TLSConfig: c, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })}
	go server.ServeTLS(listener, "", "")
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

// shown is the host that the certificate at an address is for, when this
// server name is asked for.
func shown(t *testing.T, address, name string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
}

// A renewal needs no restart, whatever order its files are written in; what is
// no pair is told and changes nothing.
func TestFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	firstCert, firstKey := issue(t, "first.example.com")
	secondCert, secondKey := issue(t, "second.example.com")
	write(t, certFile, firstCert)
	write(t, keyFile, firstKey)
	files, err := Read(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	files.Log = slog.New(slog.NewTextHandler(&log, nil))
	local, _, err := Local()
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, WithLocal(&tls.Config{GetCertificate: files.Certificate}, local))
	expect := func(when, want string) {
		t.Helper()
		for range 2 {
			if got := shown(t, address, "any.example.com"); got != want {
				t.Errorf("%s: %s is shown, want %s", when, got, want)
			}
		}
	}
	expect("at the start", "first.example.com")
	write(t, certFile, secondCert)
	expect("between the two files", "first.example.com")
	if n := strings.Count(log.String(), "cannot be used"); n != 1 {
		t.Errorf("told %d times that the new one cannot be used:\n%s", n, &log)
	}
	write(t, keyFile, secondKey)
	expect("renewed", "second.example.com")
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	expect("without a key", "second.example.com")
	write(t, keyFile, []byte("nonsense"))
	expect("with a key that is none", "second.example.com")
	if n := strings.Count(log.String(), "cannot be used"); n != 3 {
		t.Errorf("told %d faults, want 3:\n%s", n, &log)
	}
	// As certbot and Kubernetes do it: another file under the same name.
	for path, text := range map[string][]byte{certFile: firstCert, keyFile: firstKey} {
		write(t, path+".new", text)
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	expect("replaced", "first.example.com")
}

func TestFilesThatAreNoPair(t *testing.T) {
	dir := t.TempDir()
	cert, key := issue(t, "a.example.com")
	_, other := issue(t, "b.example.com")
	path := func(name string) string { return filepath.Join(dir, name) }
	write(t, path("cert"), cert)
	write(t, path("key"), key)
	write(t, path("other"), other)
	write(t, path("empty"), nil)
	for _, tt := range []struct{ cert, key, want string }{
		{"cert", "other", "does not match"},
		{"cert", "none", "none: no such file"},
		{"none", "key", "none: no such file"},
		{"empty", "key", "failed to find any PEM data"},
		{"cert", "empty", "failed to find any PEM data"},
	} {
		if _, err := Read(path(tt.cert), path(tt.key)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s and %s: %v, want %q", tt.cert, tt.key, err, tt.want)
		}
	}
}

// Only who has the local certificate's text knows the server, and only this
// server; others see the public certificate.
func TestLocal(t *testing.T) {
	dir := t.TempDir()
	cert, key := issue(t, "public.example.com")
	write(t, filepath.Join(dir, "cert"), cert)
	write(t, filepath.Join(dir, "key"), key)
	files, err := Read(filepath.Join(dir, "cert"), filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	public := &tls.Config{GetCertificate: files.Certificate}
	local, text, err := Local()
	if err != nil {
		t.Fatal(err)
	}
	impostor, _, err := Local()
	if err != nil {
		t.Fatal(err)
	}
	get := func(address string) error {
		trust, err := ClientFor(text)
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{TLSClientConfig: trust}
		defer transport.CloseIdleConnections()
		answer, err := (&http.Client{Transport: transport}).Get("https://" + address)
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
	here := serve(t, WithLocal(public, local))
	if err := get(here); err != nil {
		t.Error(err)
	}
	for name, address := range map[string]string{"another process": serve(t, WithLocal(public, impostor)), "no hangar": serve(t, public)} {
		if err := get(address); err == nil {
			t.Errorf("%s is taken for the server", name)
		}
	}
	if got := shown(t, here, "public.example.com"); got != "public.example.com" {
		t.Errorf("%s is shown to the public", got)
	}
	if _, err := ClientFor([]byte("nonsense")); err == nil {
		t.Error("a certificate that is none is trusted")
	}
	if _, err := tls.Dial("tcp", here, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

// Certificates are asked for in the name of one host, in both ways that an
// authority may choose, and are kept from others.
func TestAutocert(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "kept")
	m := Autocert("Hangar.example.com", folder)
	for host, want := range map[string]bool{"hangar.example.com": true, "other.example.com": false, "127.0.0.1": false, "": false} {
		if err := m.HostPolicy(t.Context(), host); (err == nil) != want {
			t.Errorf("%q: %v", host, err)
		}
	}
	if err := m.Cache.Put(t.Context(), "x", []byte("y")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", info, err)
	}
	if !strings.Contains(strings.Join(m.TLSConfig().NextProtos, " "), acme.ALPNProto) {
		t.Error("no TLS-ALPN-01")
	}

	challenges := httptest.NewServer(m.HTTPHandler(nil))
	defer challenges.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, tt := range []struct {
		host, path string
		want       int
	}{
		{"hangar.example.com", "/api/servers", http.StatusFound},
		{"hangar.example.com", "/.well-known/acme-challenge/unasked", http.StatusNotFound},
		{"other.example.com", "/.well-known/acme-challenge/unasked", http.StatusForbidden},
	} {
		r, err := http.NewRequest(http.MethodGet, challenges.URL+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = tt.host
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != tt.want {
			t.Errorf("%s%s: %d, want %d", tt.host, tt.path, answer.StatusCode, tt.want)
		}
		if at := answer.Header.Get("Location"); tt.want == http.StatusFound && at != "https://hangar.example.com/api/servers" {
			t.Errorf("redirected to %s", at)
		}
	}
}
