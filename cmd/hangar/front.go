package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"hangar/reconciler/api"
	"hangar/reconciler/certs"
)

// front is how hangar serves HTTPS.
type front struct {
	tls        *tls.Config
	local      []byte       // PEM text of the certificate by which hangar's commands know this server
	challenges http.Handler // answers an authority over plain HTTP, and sends others to HTTPS; nil: none asks
	plain      string       // the port for that
}

// secure says whether HTTPS is served.
func (c Config) secure() bool { return c.TLSAutocert || c.TLSCert != "" }

// scheme is what hangar serves.
func (c Config) scheme() string {
	if c.secure() {
		return "https"
	}
	return "http"
}

// listen is the address to listen on.
func (c Config) listen() string {
	switch {
	case c.HTTPPort != "":
		return listenAddress(c.HTTPPort)
	case c.secure():
		return ":443"
	}
	return ":8080"
}

// frontMistakes are those in what concerns the way to hangar itself.
func (c Config) frontMistakes() []string {
	var found []string
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			found = append(found, fmt.Sprintf(format, args...))
		}
	}
	wrong(c.HTTPProto != "http" && c.HTTPProto != "https", "DRONE_HTTP_PROTO=%s: want http or https", c.HTTPProto)
	wrong(!isPort(c.listen()), "DRONE_HTTP_PORT=%s: want a port such as :8080, or an address and a port such as 127.0.0.1:8080", c.HTTPPort)
	wrong(!isRoot(c.HTTPRoot), "DRONE_HTTP_ROOT=%s: want a path that begins with /, such as /hangar", c.HTTPRoot)
	switch {
	case c.TLSAutocert && (c.TLSCert != "" || c.TLSKey != ""):
		wrong(true, "DRONE_TLS_AUTOCERT=true: stands instead of DRONE_TLS_CERT and DRONE_TLS_KEY; set one or the other")
	case c.TLSAutocert:
		wrong(!isDomain(c.HTTPHost), "DRONE_TLS_AUTOCERT=true: set DRONE_HTTP_HOST to the public host name that the certificate is for, such as hangar.example.com, without a port")
	case c.TLSCert == "":
		wrong(c.TLSKey != "", "DRONE_TLS_KEY=%s: belongs to DRONE_TLS_CERT, which is not set", c.TLSKey)
	default:
		wrong(c.TLSKey == "", "DRONE_TLS_CERT=%s: set DRONE_TLS_KEY to the file with its key", c.TLSCert)
	}
	wrong(c.UIUsername != "" && c.UIPassword == "", "DRONE_UI_USERNAME=%s: set DRONE_UI_PASSWORD, too", c.UIUsername)
	wrong(c.UIUsername == "" && c.UIPassword != "", "DRONE_UI_PASSWORD is set: set DRONE_UI_USERNAME, too")
	return found
}

// isDomain accepts a host name that an authority issues certificates for.
func isDomain(s string) bool {
	return isHost(s) && strings.Contains(strings.Trim(s, "."), ".") && !strings.Contains(s, ":") && net.ParseIP(s) == nil
}

// front prepares HTTPS; nil: it is not asked for. Files that cannot be used are
// a ConfigError.
func (c Config) front(log *slog.Logger) (*front, error) {
	if !c.secure() {
		return nil, nil
	}
	local, text, err := certs.Local()
	if err != nil {
		return nil, err
	}
	if c.TLSAutocert {
		// The folder is that of drone/autoscaler's image: what it has is used on.
		m := certs.Autocert(c.HTTPHost, filepath.Join(c.Data, "golang-autocert"))
		public := m.TLSConfig()
		get := public.GetCertificate
		public.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := get(hello)
			if err != nil && strings.EqualFold(hello.ServerName, c.HTTPHost) {
				log.Warn("there is no certificate; port 443 of DRONE_HTTP_HOST must lead here from the internet, and port 80 should", "host", c.HTTPHost, "error", err)
			}
			return cert, err
		}
		return &front{certs.WithLocal(public, local), text, m.HTTPHandler(nil), "80"}, nil
	}
	files, err := certs.Read(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, ConfigError{fmt.Sprintf("DRONE_TLS_CERT=%s, DRONE_TLS_KEY=%s: %v; want a certificate and its own key, in PEM", c.TLSCert, c.TLSKey, err)}
	}
	files.Log = log
	return &front{tls: certs.WithLocal(&tls.Config{GetCertificate: files.Certificate}, local), local: text}, nil
}

// serveOn answers the requests that come to a listener, and, where an authority
// may ask, those that come to port 80 beside it. It returns how that is ended.
func (s *service) serveOn(listener net.Listener, fail context.CancelCauseFunc) (end func()) {
	start := func(l net.Listener, handler http.Handler, c *tls.Config) *http.Server {
		server := api.NewServer(l.Addr().String(), handler)
		server.TLSConfig, server.ErrorLog = c, slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
		go func() {
			serve := server.Serve
			if c != nil {
				serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
			}
			if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
				fail(fmt.Errorf("serve: %w", err))
			}
		}()
		return server
	}
	if s.front == nil {
		server := start(listener, s.handler, nil)
		return func() { server.Close() }
	}
	server := start(listener, s.handler, s.front.tls)
	if s.front.challenges == nil {
		return func() { server.Close() }
	}
	host, _, _ := net.SplitHostPort(listener.Addr().String())
	plain, err := net.Listen("tcp", net.JoinHostPort(host, s.front.plain))
	if err != nil {
		s.log.Warn("plain HTTP cannot be served beside HTTPS: nobody is sent on from there, and certificates are got over HTTPS alone", "port", s.front.plain, "error", err)
		return func() { server.Close() }
	}
	aside := start(plain, s.front.challenges, nil)
	s.log.Info("sending on to HTTPS", "address", plain.Addr().String())
	return func() { server.Close(); aside.Close() }
}

// localCertificate is the file with the certificate by which hangar's commands
// know the server that holds a data folder.
func localCertificate(data string) string { return filepath.Join(data, "hangar.crt") }

// tell writes down the certificate by which commands know this server.
func (f *front) tell(data string) error {
	if err := renameio.WriteFile(localCertificate(data), f.local, 0o600); err != nil {
		return fmt.Errorf("tell the commands how to know this server: %w", err)
	}
	return nil
}

// localClient speaks to the server that holds a data folder, at the address
// that it told, and over HTTPS to no other: the admin's token is shown to it.
func localClient(data, url string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy, transport.DisableKeepAlives = nil, true
	if strings.HasPrefix(url, "https:") {
		text, err := os.ReadFile(localCertificate(data))
		if err == nil {
			transport.TLSClientConfig, err = certs.ClientFor(text)
		}
		if err != nil {
			return nil, fmt.Errorf("know the running hangar by %s: %w", localCertificate(data), err)
		}
	}
	return &http.Client{Transport: transport}, nil
}
