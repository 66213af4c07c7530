package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// As little as can be: nothing writable but /data, no capability.
var least = []string{"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}

// image is the image that HANGAR_IMAGE names, which .ci/image builds.
func image(t *testing.T) string {
	t.Helper()
	name := os.Getenv("HANGAR_IMAGE")
	if name == "" {
		t.Skip("HANGAR_IMAGE names no image; .ci/image builds one, and runs this")
	}
	return name
}

// docker runs docker, and returns what it prints.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).Output()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s%s", strings.Join(args, " "), err, out, stderrOf(err))
	}
	return strings.TrimSpace(string(out))
}

func stderrOf(err error) []byte {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.Stderr
	}
	return nil
}

// container starts one in the background, which ends with the test.
func container(t *testing.T, args ...string) string {
	t.Helper()
	id := docker(t, append([]string{"run", "-d"}, args...)...)
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := exec.Command("docker", "logs", "--tail", "60", id).CombinedOutput()
			t.Logf("%s:\n%s", strings.Join(args, " "), logs)
		}
		_ = exec.Command("docker", "rm", "-f", "-v", id).Run()
	})
	return id
}

// published is the URL at which a port of a container is published.
func published(t *testing.T, id string, port int) string {
	t.Helper()
	address, _, _ := strings.Cut(docker(t, "port", id, strconv.Itoa(port)+"/tcp"), "\n")
	return "http://" + address
}

func wellAt(url string) bool {
	response, err := http.Get(url)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func TestImageVersion(t *testing.T) {
	printed := docker(t, "run", "--rm", image(t), "version")
	t.Log("\n" + printed)
	for _, want := range []string{`(?m)^hangar \S+ \(commit [0-9a-f]{7,}\)`, `(?m)^(terraform|OpenTofu) 1\.\d+\.\d+ at /usr/local/bin/`, `equinix/equinix 4\.16`} {
		if !regexp.MustCompile(want).MatchString(printed) {
			t.Errorf("hangar version does not print %s", want)
		}
	}
}

// The first look needs no option, and neither network nor right.
func TestImageSimulate(t *testing.T) {
	name := image(t)
	id := container(t, "-p", "127.0.0.1::8080", name, "simulate")
	url := published(t, id, 8080)
	until(t, "its page answers", 30*time.Second, func() bool { return wellAt(url + "/healthz") })
	until(t, "a way in to its page is printed that works", 30*time.Second, func() bool {
		logs, err := exec.Command("docker", "logs", id).CombinedOutput()
		once := regexp.MustCompile(`/ui/login\?once=\S+`).Find(logs)
		return err == nil && once != nil && wellAt(url+string(once))
	})

	cmd := exec.Command("docker", append(append([]string{"run", "--rm", "--network", "none"}, least...), name, "simulate", "--exit", "--builds", "4")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var got struct{ Succeeded, Failed, LeftOver int }
	if err != nil || json.Unmarshal(out, &got) != nil || got.Succeeded != 4 || got.Failed != 0 {
		t.Errorf("simulate with no network and no rights: %v\n%s%s", err, out, &stderr)
	}
}

// fleet is a hangar and the world it works in, each in a container of its own.
type fleet struct {
	t             *testing.T
	network, data string
	world, hangar string
	url, metal    string
}

const fleetProject = "93125c2a-8b78-4d4f-a3c4-7367d6b7cca8"

// newFleet starts both, with three long builds in the queue: work for two servers.
// limit is the size of a file system of its own for the data folder; empty: none.
func newFleet(t *testing.T, limit string) *fleet {
	t.Helper()
	name := image(t)
	f := &fleet{t: t, network: fmt.Sprintf("hangar-test-%d-%d", os.Getpid(), time.Now().UnixNano()), data: filepath.Join(t.TempDir(), "data")}
	docker(t, "network", "create", f.network)
	t.Cleanup(func() { _ = exec.Command("docker", "network", "rm", f.network).Run() })
	if err := os.Mkdir(f.data, 0o700); err != nil {
		t.Fatal(err)
	}
	if limit != "" {
		if err := syscall.Mount("tmpfs", f.data, "tmpfs", 0, "mode=700,size="+limit); err != nil {
			t.Fatalf("mount a small data folder: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(f.data, 0) })
	}
	if err := os.Chown(f.data, 65532, 65532); err != nil {
		t.Fatal(err)
	}
	var secrets []string
	for _, s := range []string{"DRONE_SERVER_TOKEN=image-admin-token", "DRONE_AGENT_TOKEN=image-rpc-secret", "DRONE_PACKET_APIKEY=image-api-key", "DRONE_PACKET_PROJECT_ID=" + fleetProject} {
		secrets = append(secrets, "-e", s)
	}
	f.world = container(t, slices.Concat([]string{"--network", f.network, "--network-alias", "world", "-p", "127.0.0.1::8002"}, secrets,
		[]string{name, "simulate", "--world", "--builds", "3", "--build-time", "1h", "--boot-time", "8s", "--drone", ":8001", "--api", ":8002"})...)
	f.metal = published(t, f.world, 8002)
	f.hangar = container(t, slices.Concat([]string{"--network", f.network, "-v", f.data + ":/data", "-p", "127.0.0.1::8080", "--restart=always", "--stop-timeout", "60"}, least, secrets,
		[]string{"-e", "DRONE_POOL_MIN=0", "-e", "DRONE_POOL_MAX=8", "-e", "DRONE_SERVER_PROTO=http", "-e", "DRONE_SERVER_HOST=world:8001", "-e", "DRONE_INTERVAL=1s",
			"-e", "DRONE_PACKET_FACILITY=ewr1", "-e", "DRONE_PACKET_PLAN=c3.small.x86", "-e", "DRONE_PACKET_ENDPOINT=http://world:8002", "-e", "DRONE_AGENT_SSH=false",
			"-e", "DRONE_TERRAFORM_SETTLE=5s", "-e", "DRONE_TERRAFORM_RETRY=1s", "-e", "DRONE_SWEEP_INTERVAL=15s", "-e", "DRONE_SWEEP_CONFIRM=2s", name})...)
	f.answers()
	f.runs(2)
	return f
}

// answers waits until hangar does. Docker gives a container that is started
// another port than before.
func (f *fleet) answers() {
	f.t.Helper()
	until(f.t, "hangar answers", 30*time.Second, func() bool {
		out, err := exec.Command("docker", "port", f.hangar, "8080/tcp").Output()
		address, _, _ := strings.Cut(string(out), "\n")
		f.url = "http://" + address
		return err == nil && wellAt(f.url+"/healthz")
	})
}

func (f *fleet) ask(method, url, header, value string, answer any) error {
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set(header, value)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s", method, url, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

type metalDevice struct{ ID, Hostname, State string }

// devices are the machines that the API bills.
func (f *fleet) devices() []metalDevice {
	f.t.Helper()
	var list struct{ Devices []metalDevice }
	if err := f.ask("GET", f.metal+"/metal/v1/projects/"+fleetProject+"/devices?per_page=1000", "X-Auth-Token", "image-api-key", &list); err != nil {
		f.t.Fatal(err)
	}
	return list.Devices
}

// order asks for one more server, and waits until its machine is ordered:
// terraform is in mid-apply then, for the 8 s that the machine boots.
func (f *fleet) order() {
	f.t.Helper()
	had := len(f.devices())
	var made struct{ Name string }
	if err := f.ask("POST", f.url+"/api/servers", "Authorization", "Bearer image-admin-token", &made); err != nil {
		f.t.Fatal(err)
	}
	until(f.t, "a machine is ordered", 60*time.Second, func() bool { return len(f.devices()) > had })
}

// runs waits until n servers run, each with the one machine that bears its name,
// and no other machine is there.
func (f *fleet) runs(n int) {
	f.t.Helper()
	var told string
	is := func() bool {
		var servers []struct{ ID, Name, State string }
		if err := f.ask("GET", f.url+"/api/servers", "Authorization", "Bearer image-admin-token", &servers); err != nil {
			told = err.Error()
			return false
		}
		devices := f.devices()
		told = fmt.Sprintf("servers %v, devices %v", servers, devices)
		var running, machines []string
		for _, s := range servers {
			if s.State == "running" {
				running = append(running, s.Name+" "+s.ID)
			}
		}
		for _, d := range devices {
			machines = append(machines, d.Hostname+" "+d.ID)
		}
		slices.Sort(running)
		slices.Sort(machines)
		return len(running) == n && slices.Equal(running, machines)
	}
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("not %d servers with a machine each: %s", n, told)
		}
	}
}

// had tells the machines, to be compared with later ones.
func (f *fleet) had() []string {
	var ids []string
	for _, d := range f.devices() {
		ids = append(ids, d.ID)
	}
	slices.Sort(ids)
	return ids
}

// kept holds that the machines of before are there still, that n run in all, and
// that hangar itself finds nothing amiss.
func (f *fleet) kept(before []string, n int) {
	f.t.Helper()
	f.runs(n)
	for _, id := range before {
		if !slices.Contains(f.had(), id) {
			f.t.Errorf("the machine %s is gone", id)
		}
	}
	docker(f.t, "exec", f.hangar, "hangar", "audit")
	f.runs(n) // the look has changed nothing
}

func (f *fleet) exitCode() string {
	return docker(f.t, "inspect", "-f", "{{.State.ExitCode}}", f.hangar)
}

// What is done to containers loses nothing: a kill, a crash, a stop and a kill in
// mid-apply, and a partition.
func TestImageLosesNothing(t *testing.T) {
	f := newFleet(t, "")
	before := f.had()

	docker(t, "kill", f.hangar)
	docker(t, "start", f.hangar)
	f.answers()
	f.kept(before, 2)
	t.Log("killed and started: the same machines")

	// Process 1 ends with the one that crashes, and docker starts both anew. How the
	// shell ends tells nothing: by itself, or with the container.
	_ = exec.Command("docker", "exec", f.hangar, "sh", "-c", `for p in /proc/[0-9]*; do p=${p#/proc/}; busybox grep -q '^PPid:.1$' /proc/$p/status && kill -9 $p; done`).Run()
	until(t, "docker starts it anew", 30*time.Second, func() bool {
		return docker(t, "inspect", "-f", "{{.RestartCount}}", f.hangar) == "1"
	})
	f.answers()
	f.kept(before, 2)
	t.Log("crashed, and started by docker: the same machines")

	f.order()
	from := time.Now()
	docker(t, "stop", f.hangar)
	if took := time.Since(from); took < 2*time.Second || f.exitCode() != "0" {
		t.Errorf("docker stop in mid-apply took %s, exit code %s: it did not wait for the apply", took, f.exitCode())
	}
	docker(t, "start", f.hangar)
	f.answers()
	f.kept(before, 3)
	t.Log("stopped in mid-apply: the machine is there, once")

	f.order()
	docker(t, "kill", f.hangar)
	docker(t, "start", f.hangar)
	f.answers()
	f.kept(before, 4)
	t.Log("killed in mid-apply: the machine is there, once")

	f.order()
	docker(t, "network", "disconnect", f.network, f.world)
	until(t, "hangar tells that Drone does not answer", time.Minute, func() bool {
		logs, err := exec.Command("docker", "logs", "--since", "5s", f.hangar).CombinedOutput()
		return err == nil && bytes.Contains(logs, []byte("/api/queue"))
	})
	if !wellAt(f.url + "/healthz") {
		t.Error("it does not outlive a partition")
	}
	docker(t, "network", "connect", "--alias", "world", f.network, f.world)
	f.metal = published(t, f.world, 8002)
	f.kept(before, 5)
	t.Log("cut off from Drone and the API in mid-apply, and back: the machine is there, once")

	until(t, "docker calls it healthy", time.Minute, func() bool {
		return docker(t, "inspect", "-f", "{{.State.Health.Status}}", f.hangar) == "healthy"
	})
	docker(t, "stop", f.hangar)
	if f.exitCode() != "0" {
		t.Errorf("docker stop: exit code %s", f.exitCode())
	}
}

// A data folder without room keeps hangar from beginning anything, and loses
// nothing that was begun.
func TestImageFullData(t *testing.T) {
	f := newFleet(t, "48m")
	before := f.had()
	filler := filepath.Join(f.data, "filler")
	f.order()
	fill(t, filler)
	ordered := len(f.devices())
	var made struct{ Name string }
	_ = f.ask("POST", f.url+"/api/servers", "Authorization", "Bearer image-admin-token", &made) // may be refused, must not be half done
	until(t, "the machine is active", time.Minute, func() bool {
		return !slices.ContainsFunc(f.devices(), func(d metalDevice) bool { return d.State != "active" })
	})
	until(t, "terraform has ended", time.Minute, func() bool {
		return !strings.Contains(docker(t, "top", f.hangar), "terraform apply")
	})
	fill(t, filler) // what the apply's end set free
	if !wellAt(f.url + "/healthz") {
		t.Error("it does not outlive a full data folder")
	}
	if n := len(f.devices()); n != ordered {
		t.Errorf("%d machines with a full data folder, %d before", n, ordered)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	want := 3
	if made.Name != "" {
		want = 4
	}
	f.kept(before, want)
}

// fill takes all room that is left.
func fill(t *testing.T, name string) {
	t.Helper()
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for size := 1 << 20; size > 0; {
		if _, err := file.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

// What it costs: from the start to the first answer, and its memory when idle.
func TestImageCosts(t *testing.T) {
	f := newFleet(t, "")
	docker(t, "restart", f.hangar)
	f.answers()
	seen := time.Now()
	started, err := time.Parse(time.RFC3339Nano, docker(t, "inspect", "-f", "{{.State.StartedAt}}", f.hangar))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("from the start of the process to a first 200 of /healthz that was seen: %s", seen.Sub(started).Round(time.Millisecond))
	f.runs(2)
	until(t, "only hangar and process 1 are there", time.Minute, func() bool {
		return strings.Count(docker(t, "top", f.hangar), "\n") == 2 // below the heading
	})

	// What docker stats tells counts the page cache of the program, too, which the
	// kernel takes back when it needs it. Both processes share one program.
	status := docker(t, "exec", f.hangar, "sh", "-c", `for p in /proc/[0-9]*; do busybox grep -q ^Name:.hangar $p/status && busybox grep -e RssAnon -e RssFile $p/status; done 2>/dev/null; true`)
	var anon, file int
	for _, m := range regexp.MustCompile(`Rss(Anon|File):\s+(\d+) kB`).FindAllStringSubmatch(status, -1) {
		kB, _ := strconv.Atoi(m[2])
		if m[1] == "Anon" {
			anon += kB
		} else {
			file = max(file, kB)
		}
	}
	t.Logf("memory: %d MiB resident; docker stats, with page cache: %s", (anon+file)>>10, docker(t, "stats", "--no-stream", "--format", "{{.MemUsage}}", f.hangar))
	if anon == 0 || (anon+file)>>10 >= 64 {
		t.Errorf("%d MiB resident, of which %d MiB are its own; less than 64 is wanted", (anon+file)>>10, anon>>10)
	}
}

// A folder that it may not write to is explained.
func TestImageForeignData(t *testing.T) {
	name := image(t)
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("docker", "run", "--rm", "-v", folder+":/data", "-e", "DRONE_SERVER_HOST=world:8001", "-e", "DRONE_SERVER_TOKEN=t", "-e", "DRONE_AGENT_TOKEN=t",
		"-e", "DRONE_PACKET_APIKEY=k", "-e", "DRONE_PACKET_PROJECT_ID="+fleetProject, name).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("chown -R 65532")) {
		t.Errorf("on a folder of root's: %v\n%s", err, out)
	}
}
