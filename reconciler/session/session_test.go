package session

import (
	"fmt"
	"testing"
	"time"
)

func TestSession(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := New()
	s.Now = func() time.Time { return now }
	a, b := s.Begin("octocat"), s.Begin("hubot")
	one, ok := s.Find(a)
	two, _ := s.Find(b)
	if !ok || one.Login != "octocat" || two.Login != "hubot" || one.CSRF == two.CSRF || len(one.CSRF) < 20 || len(a) < 20 || a == b {
		t.Errorf("sessions %q %+v and %q %+v", a, one, b, two)
	}
	for _, id := range []string{"", "x", one.CSRF, one.Login} {
		if _, ok := s.Find(id); ok {
			t.Errorf("%q is a session", id)
		}
	}
	s.End(a)
	if _, ok := s.Find(a); ok {
		t.Error("a session outlives its end")
	}
	now = now.Add(Lasts - time.Second)
	if _, ok := s.Find(b); !ok {
		t.Error("a session ended early")
	}
	now = now.Add(time.Second)
	if _, ok := s.Find(b); ok {
		t.Error("a session lasts longer than it may")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := New()
	s.Now = func() time.Time { now = now.Add(time.Millisecond); return now }
	first := s.Begin("first")
	for range maxSessions {
		s.Begin("another")
	}
	if _, ok := s.Find(first); ok || len(s.open) != maxSessions {
		t.Errorf("the first is there %t, of %d", ok, len(s.open))
	}
}

func TestSame(t *testing.T) {
	if !Same("abc", "abc") || Same("abc", "abd") || Same("", "a") {
		t.Error("secrets are not told apart")
	}
}

func TestThrottle(t *testing.T) {
	now := time.Unix(1e9, 0)
	th := NewThrottle()
	th.Now = func() time.Time { return now }
	for n := range burst {
		if ok, _ := th.Allowed("a"); !ok {
			t.Fatalf("refused after %d", n)
		}
		th.Wrong("a")
	}
	ok, wait := th.Allowed("a")
	if ok || wait <= 0 || wait > pause {
		t.Errorf("allowed %t, to wait %s", ok, wait)
	}
	if ok, _ := th.Allowed("b"); !ok {
		t.Error("another caller is refused, too")
	}
	now = now.Add(wait)
	if ok, _ := th.Allowed("a"); !ok {
		t.Error("refused after the wait")
	}
	for n := range maxCallers * 2 {
		th.Wrong(fmt.Sprint(n))
	}
	if len(th.callers) > maxCallers {
		t.Errorf("%d callers are remembered", len(th.callers))
	}
}

func TestInvitation(t *testing.T) {
	now := time.Unix(1e9, 0)
	i, token := Invite("root", now.Add(time.Minute))
	if len(token) < 20 || i.Take("", now) || i.Take(token+"x", now) || i.Take(token, now.Add(time.Minute)) {
		t.Error("it is taken by what is not its token, or too late")
	}
	if !i.Take(token, now) || i.Take(token, now) || i.Take("", now) {
		t.Error("it is not taken once")
	}
}
