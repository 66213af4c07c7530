package agent

import (
	"net"
	"sync"
	"testing"
)

// proxy forwards TCP connections until it stalls: then it keeps them open and
// forwards nothing, as a network that lost one side's packets.
type proxy struct {
	listener net.Listener
	to       string

	mu      sync.Mutex
	stalled bool
	flows   []*flow
}

// flow is one connection through a proxy.
type flow struct {
	mu      sync.Mutex // held while bytes pass, and for ever when it stalls
	in, out net.Conn
	stalled bool // of the proxy's mutex
}

func newProxy(t testing.TB, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: to}
	go p.accept()
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, f := range p.flows {
			f.in.Close()
			f.out.Close()
		}
	})
	return p
}

func (p *proxy) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

func (p *proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil {
			in.Close()
			continue
		}
		f := &flow{in: in, out: out}
		p.mu.Lock()
		p.flows = append(p.flows, f)
		if f.stalled = p.stalled; f.stalled {
			f.mu.Lock()
		}
		p.mu.Unlock()
		go f.pass(in, out)
		go f.pass(out, in)
	}
}

func (f *flow) pass(from, to net.Conn) {
	defer to.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			f.mu.Lock()
			to.Write(b[:n])
			f.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

// stall stops the connections there are; with more, new ones too.
func (p *proxy) stall(more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = more
	for _, f := range p.flows {
		if !f.stalled {
			f.stalled = true
			f.mu.Lock()
		}
	}
}
