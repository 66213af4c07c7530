package templates

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Answers of getent ahosts, which has a line for every kind of socket.
const names = `case $2 in
  metadata.platformequinix.com) echo "192.0.2.1 STREAM $2"; echo "192.0.2.1 DGRAM"; echo "2001:db8::1 STREAM" ;;
  meta.example.com) [ -e "$BENCH/asked" ] && echo "192.0.2.7 STREAM $2"; touch "$BENCH/asked" ;;
  192.*|2001:*) echo "$2 STREAM" ;;
esac
`

// The addresses that are refused, by what cloud-init says of its source.
func TestFirewallAddresses(t *testing.T) {
	known := []string{"169.254.0.0/16", "fd00:ec2::254", "fd20:ce::254", "fe80::a9fe:a9fe"}
	equinix := []string{"192.0.2.1", "2001:db8::1"}
	for _, tt := range []struct {
		name, source string
		want         []string
	}{
		{"the name itself", `echo "metadata (https://metadata.platformequinix.com)"`, equinix},
		{"a name that is slow to resolve", `echo "metadata (http://meta.example.com:8080/x)"`, append([]string{"192.0.2.7"}, equinix...)},
		{"an address", `echo "metadata (http://192.0.2.9)"`, append([]string{"192.0.2.9"}, equinix...)},
		{"an IPv6 address", `echo "metadata (http://[2001:db8::9]:80)"`, append([]string{"2001:db8::9"}, equinix...)},
		{"a disk", `echo "config-disk (/dev/sr0)"`, equinix},
		{"nothing", `echo "no instance data" >&2; exit 1`, equinix},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// A rule is there when it was made.
			iptables := `case " $* " in *" -C "*) grep -qF -- "$(printf '%s;' "$@" | sed 's/;-C;/;-A;/')" "$BENCH/log"; exit ;; esac` + "\n" + said
			b := newBench(t, plainAgent(), map[string]string{
				"iptables": iptables, "ip6tables": iptables, "sleep": "exit 0", "cloud-init": tt.source, "getent": names,
			})
			log, err := b.run(t, "firewall.sh")
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]string{}
			for _, line := range log {
				f := strings.Split(line, ";")
				if want := map[bool]string{true: "ip6tables", false: "iptables"}[strings.Contains(f[7], ":")]; f[0] != want {
					t.Errorf("%s is told of %s", f[0], f[7])
				}
				got[f[5]] = append(got[f[5]], f[7])
			}
			for _, chain := range []string{"PREROUTING", "OUTPUT"} {
				if want := append(slices.Clone(known), tt.want...); !slices.Equal(got[chain], want) {
					t.Errorf("%s: %v, want %v", chain, got[chain], want)
				}
			}
		})
	}
}

// Where the name does not exist, that is found out soon; where a rule cannot be
// made, the script fails, and with it what needs it.
func TestFirewallEnds(t *testing.T) {
	programs := map[string]string{"iptables": "exit 0", "ip6tables": "exit 0", "sleep": "exit 0", "cloud-init": "exit 1", "getent": "exit 2"}
	if _, err := newBench(t, plainAgent(), programs).run(t, "firewall.sh"); err != nil {
		t.Errorf("without the name: %v", err)
	}
	programs["iptables"] = "exit 4"
	if _, err := newBench(t, plainAgent(), programs).run(t, "firewall.sh"); err == nil {
		t.Error("no error when iptables fails")
	}
}

// A machine, a container on it and the provider's network beside it, made of
// namespaces. Machine and container reach the metadata service and, once the
// firewall is up, no more; the name server at the same address they reach still.
const machineOfNamespaces = `set -eu
space() { unshare --net sleep 60 & made=$!; until [ "$(readlink /proc/$made/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done; }
space; container=$made
space; provider=$made
trap 'kill $container $provider $web $dns' EXIT
inside() { nsenter --net --target $container "$@"; }
outside() { nsenter --net --target $provider "$@"; }

echo 1 > /proc/sys/net/ipv4/ip_forward
ip link set lo up
ip link add docker0 type veth peer name eth0 netns $container
ip address add 10.0.0.1/24 dev docker0
ip link set docker0 up
inside ip address add 10.0.0.2/24 dev eth0
inside ip link set eth0 up
inside ip route add default via 10.0.0.1
ip link add bond0 type veth peer name eth0 netns $provider
ip address add 10.0.1.1/24 dev bond0
ip link set bond0 up
ip route add default via 10.0.1.2
outside ip link set lo up
outside ip address add 10.0.1.2/24 dev eth0
outside ip link set eth0 up
outside ip route add default via 10.0.1.1
for address in 169.254.169.254 192.0.2.1 192.0.2.2; do outside ip address add $address/32 dev lo; done
outside python3 -m http.server --bind 0.0.0.0 80 >/dev/null 2>&1 & web=$!
outside python3 -m http.server --bind 0.0.0.0 53 >/dev/null 2>&1 & dns=$!

open() { # open [PROGRAM...] ADDRESS/PORT
  "${@:1:$#-1}" timeout 1 bash -c "</dev/tcp/${@: -1}" 2>/dev/null
}
ask() { # ask WHEN PROGRAM...
  for address in 169.254.169.254/80 192.0.2.1/80 192.0.2.2/80 169.254.169.254/53; do
    if open "${@:2}" $address; then echo "$1 $address open"; else echo "$1 $address shut"; fi
  done
}
until open env 10.0.1.2/80 && open env 10.0.1.2/53; do sleep 0.1; done
ask before-host env
ask before-container inside
/bin/sh "$BENCH/firewall.sh"
/bin/sh "$BENCH/firewall.sh"
iptables-save | grep -c -- '-A' | sed 's/^/rules /'
ask after-host env
ask after-container inside
`

func TestFirewallInNamespaces(t *testing.T) {
	for _, tool := range []string{"iptables", "ip", "python3", "unshare", "nsenter", "bash"} {
		need(t, tool)
	}
	may := exec.Command("unshare", "--user", "--map-root-user", "--net", "iptables", "-t", "raw", "-S")
	if out, err := may.CombinedOutput(); err != nil {
		missing(t, "iptables", string(out))
	}
	b := newBench(t, plainAgent(), map[string]string{"cloud-init": "exit 1", "getent": names})
	b.write(t, "machine.sh", machineOfNamespaces)
	cmd := exec.Command("unshare", "--user", "--map-root-user", "--net", "bash", filepath.Join(b.dir, "machine.sh"))
	cmd.Env = []string{"PATH=" + filepath.Join(b.dir, "bin") + ":/usr/sbin:/usr/bin:/sbin:/bin", "BENCH=" + b.dir}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := "rules 4\n"
	for _, who := range []string{"host", "container"} {
		for _, address := range []string{"169.254.169.254/80", "192.0.2.1/80", "192.0.2.2/80", "169.254.169.254/53"} {
			after := "shut"
			if address == "192.0.2.2/80" || address == "169.254.169.254/53" {
				after = "open"
			}
			want += fmt.Sprintf("before-%s %s open\nafter-%s %s %s\n", who, address, who, address, after)
		}
	}
	got, wanted := strings.Split(string(out), "\n"), strings.Split(want, "\n")
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
	}
}
