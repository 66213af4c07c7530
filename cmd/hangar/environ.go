package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"hangar/state"
)

// ConfigError is every mistake found in the settings, a line each, sorted.
type ConfigError []string

func (e ConfigError) Error() string { return strings.Join(e, "\n") }

// parseConfig reads the settings from environ. Mistakes come back together as
// a ConfigError. A variable that is set but empty counts as not set.
func parseConfig(environ map[string]string) (Config, error) {
	return parseSettings(environ, known)
}

// parseSettings reads only the settings that are asked for: no other is needed,
// and a mistake in another one is not told.
func parseSettings(environ map[string]string, asked func(name string) bool) (Config, error) {
	set := make(map[string]string, len(environ))
	for k, v := range environ {
		if v = strings.TrimSpace(v); v != "" && asked(k) {
			set[k] = v
		}
	}
	for alias, name := range aliases {
		if v := strings.TrimSpace(environ[alias]); v != "" && set[name] == "" && asked(name) {
			set[name] = v
		}
	}
	var c Config
	var mistakes []string
	var malformed []string
	err := env.ParseWithOptions(&c, env.Options{Environment: set, FuncMap: parsers})
	var all env.AggregateError
	if errors.As(err, &all) {
		for _, err := range all.Errors {
			name, why := "", err.Error()
			var parse env.ParseError
			if errors.As(err, &parse) {
				name, why = variable(parse.Name), parse.Err.Error()
			}
			malformed = append(malformed, name)
			mistakes = append(mistakes, fmt.Sprintf("%s=%s: %s", name, set[name], why))
		}
	}
	for i, name := range c.AgentEnviron {
		if value, has := environ[name]; has && !strings.Contains(name, "=") {
			c.AgentEnviron[i] = name + "=" + value
		}
	}
	if c.TerraformModule == "" && asked("DRONE_TERRAFORM_MODULE") {
		var err error
		if c.TerraformModule, err = chosen(environ); err != nil && c.PoolsFile == "" {
			mistakes = append(mistakes, err.Error())
		}
	}
	// Which modules make servers, and what they need, the pools tell.
	otherModules := set["DRONE_POOLS_FILE"] != "" || c.TerraformModule != "packet" || set["DRONE_TERRAFORM_MODULE"] != ""
	for _, s := range settings() {
		if otherModules && strings.HasPrefix(s.name, "DRONE_PACKET_") {
			continue
		}
		if s.need != "" && set[s.name] == "" && asked(s.name) {
			mistakes = append(mistakes, fmt.Sprintf("%s is not set: %s", s.name, s.need))
		}
	}
	// What depends on a malformed or missing setting would only say it twice.
	for _, m := range c.mistakes() {
		name, _, _ := strings.Cut(m, "=")
		about := func(name string) bool { return strings.Contains(m, name+"=") }
		if !slices.ContainsFunc(malformed, about) && (set[name] != "" || !needed(name)) {
			mistakes = append(mistakes, m)
		}
	}
	if len(mistakes) > 0 {
		slices.Sort(mistakes)
		return Config{}, ConfigError(mistakes)
	}
	return c, nil
}

// aliases are other names of settings: old ones of drone/autoscaler's, and those
// that the runner itself has for what is passed on to it.
var aliases = map[string]string{
	"DRONE_ENABLE_PINGER":            "DRONE_PINGER_ENABLED",
	"DRONE_ENABLE_REAPER":            "DRONE_REAPER_ENABLED",
	"DRONE_RUNNER_PRIVILEGED_IMAGES": "DRONE_RUNNER_PRIVILEGED",
	"DRONE_RUNNER_ENV_FILE":          "DRONE_RUNNER_ENVFILE",
}

// parsers say in a user's words what a value should have been.
var parsers = map[reflect.Type]env.ParserFunc{
	reflect.TypeFor[int](): func(v string) (any, error) {
		n, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil {
			return nil, errors.New("not a whole number")
		}
		return n, nil
	},
	reflect.TypeFor[bool](): func(v string) (any, error) {
		b, err := strconv.ParseBool(strings.TrimSpace(v))
		if err != nil {
			return nil, errors.New("neither true nor false")
		}
		return b, nil
	},
	reflect.TypeFor[time.Duration](): func(v string) (any, error) {
		d, err := time.ParseDuration(strings.TrimSpace(v))
		if err != nil {
			return nil, errors.New("not a duration such as 30s, 10m or 1h30m")
		}
		return d, nil
	},
	reflect.TypeFor[map[string]string](): func(v string) (any, error) {
		pairs := make(map[string]string)
		for pair := range strings.SplitSeq(v, ",") {
			key, value, found := strings.Cut(pair, ":")
			key = strings.TrimSpace(key)
			if !found || key == "" {
				return nil, fmt.Errorf("%q is not of the form key:value", pair)
			}
			if _, again := pairs[key]; again {
				return nil, fmt.Errorf("%s is there twice", key)
			}
			pairs[key] = strings.TrimSpace(value)
		}
		return pairs, nil
	},
	reflect.TypeFor[StateKeep](): func(v string) (any, error) {
		var keep StateKeep
		for part := range strings.SplitSeq(v, ",") {
			part = strings.TrimSpace(part)
			if n, err := strconv.Atoi(part); err == nil && n >= 1 && keep.Count == 0 {
				keep.Count = n
			} else if d, err := time.ParseDuration(part); err == nil && d >= time.Hour && keep.Age == 0 {
				keep.Age = d
			} else {
				return nil, errors.New("want a number from 1, a duration from 1h, or both, such as 100,2160h")
			}
		}
		return keep, nil
	},
	reflect.TypeFor[[]string](): func(v string) (any, error) {
		var items []string
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		return items, nil
	},
}

// setting is one environment variable as Config's tags describe it.
type setting struct {
	field, name, standard, need, help string
}

// shown is the default as the reference shows it.
func (s setting) shown() string {
	if s.need != "" {
		return "needed"
	}
	return cmp.Or(s.standard, "-")
}

// settings lists every setting, in the order of Config's fields.
func settings() []setting {
	var all []setting
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if f.Anonymous {
			continue
		}
		all = append(all, setting{f.Name, f.Tag.Get("env"), f.Tag.Get("envDefault"), f.Tag.Get("need"), f.Tag.Get("help")})
	}
	return all
}

func variable(field string) string {
	for _, s := range settings() {
		if s.field == field {
			return s.name
		}
	}
	return field
}

func needed(name string) bool { return needOf(name) != "" }

// needOf says what a setting that must be set has to be; empty: it need not be.
func needOf(name string) string {
	for _, s := range settings() {
		if s.name == name {
			return s.need
		}
	}
	return ""
}

// settingsTable is the reference of all settings: each with its default, and
// below it what it means.
func settingsTable() string {
	var b strings.Builder
	for _, s := range settings() {
		standard := ""
		if s.need != "" || s.standard != "" {
			standard = " (" + s.shown() + ")"
		}
		fmt.Fprintf(&b, "    %s%s\n        %s\n", s.name, standard, s.help)
	}
	return b.String()
}

func known(name string) bool {
	return aliases[name] != "" || slices.ContainsFunc(settings(), func(s setting) bool { return s.name == name })
}

func list(items []string) string { return strings.Join(items, ",") }

// either joins the choices of an enumeration: a, b or c.
func either(choices []string) string {
	if n := len(choices); n > 1 {
		return strings.Join(choices[:n-1], ", ") + " or " + choices[n-1]
	}
	return strings.Join(choices, "")
}

func isHost(s string) bool {
	u, err := url.Parse("https://" + s)
	return err == nil && u.Host == s && u.Hostname() != ""
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// isRoot accepts the path of a URL without what routers give a meaning.
func isRoot(s string) bool { return strings.HasPrefix(s, "/") && !strings.ContainsAny(s, ":*?#% ") }

// isCode accepts the code of a facility or metro.
func isCode(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// isName accepts an id that can be part of a tag.
func isName(s string) bool { return isCode(strings.ReplaceAll(s, "-", "")) }

// isVersion accepts three numbers.
func isVersion(s string) bool {
	parts := strings.Split(s, ".")
	return len(parts) == 3 && !slices.ContainsFunc(parts, func(p string) bool { _, err := strconv.ParseUint(p, 10, 16); return err != nil })
}

// twice says whether a list names something twice.
func twice(items []string) bool {
	return len(slices.Compact(slices.Sorted(slices.Values(items)))) < len(items)
}

// isPort accepts 8080, :8080 and 127.0.0.1:8080.
func isPort(s string) bool {
	_, port, err := net.SplitHostPort(listenAddress(s))
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n <= 65535
}

// isHeader says whether a token can be sent in an Authorization header.
func isHeader(token string) bool {
	return !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}

// listenAddress makes a bare port an address.
func listenAddress(s string) string {
	if !strings.Contains(s, ":") {
		return ":" + s
	}
	return s
}

// hostName checks the names that servers with this prefix would get.
func hostName(prefix string) error { return state.CheckHostname(prefix + "aaaaaaaa") }
