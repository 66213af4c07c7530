package check

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hangar/state"
)

var run = state.Run{ID: 12, Stack: "s1", Pool: "default"}

func TestCheck(t *testing.T) {
	t.Setenv("DRONE_SERVER_TOKEN", "hush-hush")
	for _, tt := range []struct {
		name, line string
		refused    string // empty: allowed
	}{
		{"allows", "true", ""},
		{"reads the plan", `grep -q '"planned"'`, ""},
		{"does not read it", "exec true <&-", ""},
		{"refuses", "echo too dear; echo by far >&2; exit 3", "exit status 3: too dear\nby far"},
		{"refuses without a word", "false", "exit status 1"},
		{"is told of the run", `test "$HANGAR_RUN $HANGAR_STACK $HANGAR_POOL" = "12 s1 default"`, ""},
		{"sees no secrets", `env | grep -v ^PWD= | sort; exit 1`, "exit status 1: HANGAR_POOL=default\nHANGAR_RUN=12\nHANGAR_STACK=s1\nHOME=/nowhere"},
		{"says a secret", `echo it is s3cr3t; exit 1`, "it is (sensitive value)"},
		{"is not there", "/no/such/check", "exit status 127"},
		{"says a lot", `head -c 100000 /dev/zero | tr '\0' x; exit 1`, strings.Repeat("x", maxOutput) + " [...]"},
		{"leaves something behind", "sleep 60 & exit 0", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(tt.line, map[string]string{"HOME": "/nowhere"})
			c.Mask = func(text string) string { return strings.ReplaceAll(text, "s3cr3t", "(sensitive value)") }
			err := c.Check(t.Context(), run, []byte(`{"planned": `+strings.Repeat(" ", 1<<20)+`1}`))
			if tt.refused == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if state.CodeOf(err) != state.Forbidden || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(err.Error(), "hush") || len(err.Error()) > maxOutput+100 {
				t.Errorf("got %v", err)
			}
		})
	}
}

// What does not end in time is killed, with all that it has started.
func TestTimeout(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	c := New("echo looking; sleep 300 & echo $! >"+file+"; wait", map[string]string{"PATH": os.Getenv("PATH")})
	c.Timeout = time.Second
	err := c.Check(t.Context(), run, nil)
	if state.CodeOf(err) != state.Forbidden || !strings.Contains(err.Error(), "had not ended after 1s (DRONE_TERRAFORM_CHECK_TIMEOUT)") || !strings.Contains(err.Error(), "looking") {
		t.Errorf("got %v", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); alive(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d outlives its check", pid)
		}
	}
}

// alive says whether a process is there and no zombie that its new parent has not
// buried yet.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestPossible(t *testing.T) {
	if err := New("true", nil).Possible(); err != nil {
		t.Error(err)
	}
}
