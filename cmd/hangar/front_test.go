package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/drone/drone-go/drone"

	"hangar/reconciler/certs"
	"hangar/reconciler/simulator"
)

// pair writes a certificate for example.com and 127.0.0.1 with its key, and
// returns the settings that name them, and the pool that trusts it.
func pair(t *testing.T) ([]string, *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	server.Close()
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AddCert(server.Certificate())
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: server.Certificate().Raw},
		keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"DRONE_TLS_CERT=" + certFile, "DRONE_TLS_KEY=" + keyFile}, trust
}

// admin shows a token as the drone command line does.
type admin struct {
	token string
	next  http.RoundTripper
}

func (a admin) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+a.token)
	return a.next.RoundTrip(r)
}

// What the drone command line asks is answered by a real hangar, over HTTPS;
// and hangar's own commands find it.
func TestDroneCommandLineOverTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{BootTime: 100 * time.Millisecond}, quick)
	set, trust := pair(t)
	set = append(set, "DRONE_HTTP_ROOT=/hangar", "DRONE_POOL_IDLE=1h", "DRONE_LOGS_TRACE=true")
	s := w.serve(t, set...)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}}
	t.Cleanup(transport.CloseIdleConnections)
	as := func(token string) drone.Client {
		return drone.NewClient(s.url+"/hangar", &http.Client{Transport: admin{token, transport}})
	}
	client := as(w.Config().ServerToken)
	state := func(name string) string {
		t.Helper()
		got, err := client.Server(name)
		if err != nil {
			t.Fatal(err)
		}
		return got.State
	}

	if all, err := client.ServerList(); err != nil || all == nil || len(all) != 0 {
		t.Errorf("servers %v, %v, want an empty list", all, err)
	}
	made, err := client.ServerCreate()
	if err != nil || made.State != "pending" || made.Capacity != 2 || made.Created == 0 {
		t.Fatalf("made %+v, %v", made, err)
	}
	until(t, "it runs", 90*time.Second, func() bool { return state(made.Name) == "running" })
	got, err := client.Server(made.Name)
	devices := w.Devices()
	if err != nil || len(devices) != 1 {
		t.Fatalf("%v, %d devices", err, len(devices))
	}
	want := drone.Server{ID: devices[0].ID, Provider: "packet", State: "running", Name: made.Name, Image: "ubuntu_24_04", Region: "ewr1", Size: "c3.small.x86",
		Address: got.Address, Capacity: 2, Created: made.Created, Updated: got.Updated, Started: got.Started}
	if got.Address == "" || got.Started < got.Created || got.Updated < got.Created || !sameServer(*got, want) {
		t.Errorf("got %+v\nwant %+v", *got, want)
	}
	if all, err := client.ServerList(); err != nil || len(all) != 1 || !sameServer(*all[0], *got) {
		t.Errorf("listed %v, %v", all, err)
	}
	for _, do := range []func() error{client.AutoscalePause, client.AutoscaleResume} {
		if err := do(); err != nil {
			t.Error(err)
		}
	}
	if v, err := client.AutoscaleVersion(); err != nil || v.Source != source || v.Version != Version || v.Commit != Commit {
		t.Errorf("version %+v, %v", v, err)
	}
	_, unknown := client.Server("agent-zzzzzzzz")
	_, stranger := as("stranger").ServerList()
	for want, err := range map[string]error{`client error 404: {"message":"`: unknown, `client error 401: {"message":"`: stranger} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}

	if code, out := w.audit(t, set); code != 0 || !strings.Contains(out, "1 machine of this installation") {
		t.Errorf("audit: %d\n%s", code, out)
	}
	var logs bytes.Buffer
	if err := run(t.Context(), []string{"logs", made.Name}, w.environ(set...), &logs, io.Discard); err != nil || logs.Len() == 0 {
		t.Errorf("logs: %v\n%s", err, &logs)
	}

	for _, force := range []bool{false, true} { // as drone server destroy does, which asks for it afterwards
		if err := client.ServerDelete(made.Name, force); err != nil || state(made.Name) == "running" {
			t.Errorf("destroy, force %t: %v, %s", force, err, state(made.Name))
		}
	}
	until(t, "it has gone", 60*time.Second, func() bool { return state(made.Name) == "stopped" && w.Stats().Alive == 0 })
	for _, want := range []string{`level=TRACE msg="Drone asked" method=GET path=/api/queue duration=`, "path=/api/user "} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log has no %s", want)
		}
	}
	for _, secret := range []string{w.Config().ServerToken, w.Config().RPCSecret, w.Config().APIKey} {
		if strings.Contains(s.log.String(), secret) {
			t.Error("the log shows a secret")
		}
	}

	// Another server at that address is not trusted with the admin's token.
	_, other, err := certs.Local()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(localCertificate(w.data), other, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := w.audit(t, set); code != 1 || !strings.Contains(out, "certificate signed by unknown authority") {
		t.Errorf("audit of another server: %d\n%s", code, out)
	}
}

func sameServer(a, b drone.Server) bool {
	return a.CAKey == nil && a.CACert == nil && a.TLSKey == nil && a.TLSCert == nil && a.Secret == "" &&
		[...]any{a.ID, a.Provider, a.State, a.Name, a.Image, a.Region, a.Size, a.Address, a.Capacity, a.Error, a.Created, a.Updated, a.Started, a.Stopped} ==
			[...]any{b.ID, b.Provider, b.State, b.Name, b.Image, b.Region, b.Size, b.Address, b.Capacity, b.Error, b.Created, b.Updated, b.Started, b.Stopped}
}

// What cannot be served is told before anything is touched.
func TestFrontMistakes(t *testing.T) {
	set, _ := pair(t)
	certFile, keyFile := strings.TrimPrefix(set[0], "DRONE_TLS_CERT="), strings.TrimPrefix(set[1], "DRONE_TLS_KEY=")
	dir := t.TempDir()
	t.Chdir(dir)
	for _, tt := range []struct {
		set  []string
		want string
	}{
		{[]string{"DRONE_TLS_CERT=/none", "DRONE_TLS_KEY=" + keyFile}, "DRONE_TLS_CERT=/none, DRONE_TLS_KEY=" + keyFile + ": stat /none: no such file"},
		{[]string{"DRONE_TLS_CERT=" + certFile, "DRONE_TLS_KEY=" + certFile}, "DRONE_TLS_CERT=" + certFile + ", DRONE_TLS_KEY=" + certFile + ": "},
		{[]string{"DRONE_TLS_AUTOCERT=true", "DRONE_HTTP_HOST=hangar.example.com", "DRONE_TLS_KEY=" + keyFile}, "DRONE_TLS_AUTOCERT=true: stands instead of"},
		{[]string{"DRONE_TLS_AUTOCERT=true", "DRONE_HTTP_HOST=hangar.example.com:8443"}, "DRONE_TLS_AUTOCERT=true: set DRONE_HTTP_HOST to the public host name"},
		{[]string{"DRONE_TLS_AUTOCERT=true", "DRONE_HTTP_HOST=192.0.2.1"}, "DRONE_TLS_AUTOCERT=true: set DRONE_HTTP_HOST"},
		{[]string{"DRONE_TLS_AUTOCERT=true", "DRONE_HTTP_HOST=localhost"}, "DRONE_TLS_AUTOCERT=true: set DRONE_HTTP_HOST"},
	} {
		err := run(t.Context(), []string{"serve"}, guide(tt.set...), io.Discard, io.Discard)
		mistakes, ok := errors.AsType[ConfigError](err)
		if !ok || len(mistakes) != 1 || !strings.HasPrefix(mistakes[0], tt.want) {
			t.Errorf("%v: %v, want %s", tt.set, err, tt.want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestListen(t *testing.T) {
	for want, set := range map[string][]string{
		":8080":          nil,
		":443":           {"DRONE_TLS_CERT=/c", "DRONE_TLS_KEY=/k"},
		":8443":          {"DRONE_TLS_CERT=/c", "DRONE_TLS_KEY=/k", "DRONE_HTTP_PORT=8443"},
		"127.0.0.1:9443": {"DRONE_TLS_AUTOCERT=true", "DRONE_HTTP_HOST=hangar.example.com", "DRONE_HTTP_PORT=127.0.0.1:9443"},
	} {
		if c, err := parseConfig(guide(set...)); err != nil || c.listen() != want {
			t.Errorf("%v: %s, %v, want %s", set, c.listen(), err, want)
		}
	}
}

// With certificates of an authority, its questions are answered over both
// ports, people are sent to HTTPS, and hangar's own commands need no authority.
func TestAutocertWiring(t *testing.T) {
	c, err := parseConfig(guide("DRONE_TLS_AUTOCERT=true", "DRONE_HTTP_HOST=hangar.example.com", "DRONE_DATA="+t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	log := &logged{}
	s := &service{cfg: c, log: newLog(log, Config{LogsPretty: true}), handler: http.NotFoundHandler()}
	if s.front, err = c.front(s.log); err != nil {
		t.Fatal(err)
	}
	if s.front.plain != "80" {
		t.Errorf("an authority asks at port %s", s.front.plain)
	}
	s.front.plain = "0"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, fail := context.WithCancelCause(t.Context())
	end := s.serveOn(listener, fail)
	defer end()

	m := regexp.MustCompile(`msg="sending on to HTTPS" address=(\S+)`).FindStringSubmatch(log.String())
	if m == nil {
		t.Fatalf("no plain HTTP:\n%s", log)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get("http://" + m[1] + "/version")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusFound || answer.Header.Get("Location") != "https://127.0.0.1:443/version" {
		t.Errorf("plain HTTP: %s to %s", answer.Status, answer.Header.Get("Location"))
	}

	address := listener.Addr().String()
	if _, err := tls.Dial("tcp", address, &tls.Config{ServerName: "other.example.com", InsecureSkipVerify: true}); err == nil {
		t.Error("a certificate for another host is shown")
	}
	if strings.Contains(log.String(), "there is no certificate") {
		t.Errorf("what strangers ask for is told:\n%s", log)
	}
	// What is kept cannot be read: no authority needs to be asked to see it fail.
	if err := os.MkdirAll(filepath.Join(c.Data, "golang-autocert", "hangar.example.com"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := tls.Dial("tcp", address, &tls.Config{ServerName: "hangar.example.com", InsecureSkipVerify: true}); err == nil {
		t.Error("a certificate that nobody issued is shown")
	}
	if !strings.Contains(log.String(), `msg="there is no certificate; port 443 of DRONE_HTTP_HOST must lead here`) {
		t.Errorf("it is not told why there is no certificate:\n%s", log)
	}
	conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: certs.LocalName, InsecureSkipVerify: true, NextProtos: []string{"acme-tls/1"}})
	if err != nil || conn.ConnectionState().NegotiatedProtocol != "acme-tls/1" {
		t.Errorf("TLS-ALPN-01: %v", err)
	} else {
		conn.Close()
	}
	if err := s.front.tell(c.Data); err != nil {
		t.Fatal(err)
	}
	local, err := localClient(c.Data, "https://"+address)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err = local.Get("https://" + address); err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	end()
	if ctx.Err() != nil {
		t.Errorf("an orderly end is a failure: %v", context.Cause(ctx))
	}
}
