package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const deployFolder = "../../templates/deploy"

// hangarSettings holds the settings of an example against those that there are,
// by starting hangar's own reader on them.
func hangarSettings(t *testing.T, where string, settings map[string]string) {
	t.Helper()
	for name := range settings {
		if !known(name) {
			t.Errorf("%s sets %s, which hangar does not know", where, name)
		}
	}
	if _, err := parseConfig(settings); err != nil {
		t.Errorf("%s: %v", where, err)
	}
}

// What docker-compose makes of the example is what it is to be: the shutdown
// grace fits into the time to stop, and all settings are hangar's.
func TestDeployCompose(t *testing.T) {
	need(t, "docker-compose")
	cmd := exec.Command("docker-compose", "-f", filepath.Join(deployFolder, "compose.yaml"), "config")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "DRONE_SERVER_HOST=drone.example.com"}
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "set it in .env") {
		t.Errorf("without secrets: %v\n%s", err, out)
	}
	for _, name := range []string{"DRONE_RPC_SECRET", "DRONE_ADMIN_TOKEN", "DRONE_WEBHOOK_SECRET", "DRONE_GITHUB_CLIENT_ID", "DRONE_GITHUB_CLIENT_SECRET", "DRONE_PACKET_APIKEY", "DRONE_PACKET_PROJECT_ID"} {
		cmd.Env = append(cmd.Env, name+"=93125c2a-8b78-4d4f-a3c4-7367d6b7cca8")
	}
	cmd = &exec.Cmd{Path: cmd.Path, Args: cmd.Args, Env: cmd.Env}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docker-compose config: %v\n%s", err, out)
	}
	var got struct {
		Services map[string]struct {
			Environment     map[string]any
			StopGracePeriod string `json:"stop_grace_period"`
			ReadOnly        bool   `json:"read_only"`
		}
	}
	if err := yaml.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	hangar := got.Services["hangar"]
	settings := map[string]string{}
	for name, value := range hangar.Environment {
		text, _ := json.Marshal(value)
		settings[name] = strings.Trim(string(text), `"`)
	}
	hangarSettings(t, "compose.yaml", settings)
	if stop, err := time.ParseDuration(hangar.StopGracePeriod); err != nil || stop <= 10*time.Minute || !hangar.ReadOnly {
		t.Errorf("%+v, %v", hangar, err)
	}
	if drone := got.Services["drone"].Environment; drone["DRONE_WEBHOOK_SECRET"] != hangar.Environment["DRONE_WEBHOOK_SECRET"] || drone["DRONE_RPC_SECRET"] != hangar.Environment["DRONE_AGENT_TOKEN"] {
		t.Error("Drone and hangar do not share their secrets")
	}
}

func TestDeploySystemd(t *testing.T) {
	need(t, "systemd-analyze")
	// Its program is to be there when the unit is verified.
	text, err := os.ReadFile(filepath.Join(deployFolder, "hangar.service"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "hangar.service")
	if err := os.WriteFile(path, bytes.ReplaceAll(text, []byte("/usr/local/bin/hangar"), []byte("/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", path).CombinedOutput(); err != nil || strings.Contains(string(out), "hangar.service") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// The manifest is what Kubernetes' own types take, strictly, and one hangar is
// told to end before another begins.
func TestDeployKubernetes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(deployFolder, "kubernetes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var claim corev1.PersistentVolumeClaim
	var deployment appsv1.Deployment
	var service corev1.Service
	documents := bytes.Split(text, []byte("\n---\n"))
	into := []any{&claim, &deployment, &service}
	if len(documents) != len(into) {
		t.Fatalf("%d documents, want %d", len(documents), len(into))
	}
	for i, document := range documents {
		if err := yaml.UnmarshalStrict(document, into[i]); err != nil {
			t.Errorf("document %d: %v", i+1, err)
		}
	}
	pod := deployment.Spec.Template
	if *deployment.Spec.Replicas != 1 || deployment.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType || *pod.Spec.TerminationGracePeriodSeconds <= 600 {
		t.Errorf("%+v", deployment.Spec)
	}
	if service.Spec.Selector["app"] != pod.Labels["app"] || deployment.Spec.Selector.MatchLabels["app"] != pod.Labels["app"] ||
		pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName != claim.Name {
		t.Error("its parts do not fit each other")
	}
	settings := map[string]string{
		"DRONE_SERVER_TOKEN": "a", "DRONE_AGENT_TOKEN": "b", "DRONE_PACKET_APIKEY": "c", "DRONE_PACKET_PROJECT_ID": "93125c2a-8b78-4d4f-a3c4-7367d6b7cca8", "DRONE_WEBHOOK_SECRET": "d",
	}
	for _, variable := range pod.Spec.Containers[0].Env {
		settings[variable.Name] = variable.Value
	}
	hangarSettings(t, "kubernetes.yaml", settings)
}
