package terraform

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hangar/tfmodules"
)

// plainCensus is what a person would write to list the same devices.
const plainCensus = `
terraform {
  required_providers {
    equinix = {
      source = "registry.terraform.io/equinix/equinix"
    }
  }
}
provider "equinix" {
  endpoint = %q
}
data "equinix_metal_devices" "found" {
  project_id = "p-1"
  filter {
    attribute = "tags"
    values    = ["hangar-instance=i-1"]
  }
}
output "found" {
  value = [for d in data.equinix_metal_devices.found.devices : { id = d.device_id, hostname = d.hostname, tags = d.tags, state = d.state, address = d.access_public_ipv4 }]
}
`

// BenchmarkCensus asks for a thousand devices in turn through Census and
// through a plain terraform apply. HANGAR_BENCH_MIRROR names a mirror with the
// real provider; without it, it is the stand-in, whose lists cost little.
func BenchmarkCensus(b *testing.B) {
	g := newRig(b)
	if dir := os.Getenv("HANGAR_BENCH_MIRROR"); dir != "" {
		g.Mirror = dir
	}
	const devices = 1000
	for i := range devices {
		name := fmt.Sprint("agent-", i)
		g.device(b, name, tfmodules.Tags("i-1", fmt.Sprint("s", i/25), name, nil)...)
	}
	g.settle(b)
	count := func() {
		found, err := g.Census(b.Context(), g.question("hangar-instance=i-1"))
		if err != nil || len(found) != devices {
			b.Fatalf("%d devices, %v", len(found), err)
		}
	}
	count() // initialises
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), fmt.Appendf(nil, plainCensus, g.server.URL), 0o600); err != nil {
		b.Fatal(err)
	}
	plain := func(args ...string) {
		cmd := exec.Command(g.Binary.Path, args...)
		cmd.Dir = dir
		for name, value := range g.environment("packet") {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	plain("init")
	var ours, theirs time.Duration
	for b.Loop() {
		began := time.Now()
		count()
		ours += time.Since(began)
		began = time.Now()
		plain("apply", "-auto-approve")
		theirs += time.Since(began)
		if err := os.Remove(filepath.Join(dir, "terraform.tfstate")); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "census-s/op")
	b.ReportMetric(theirs.Seconds()/float64(b.N), "plain-s/op")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "ratio")
}
