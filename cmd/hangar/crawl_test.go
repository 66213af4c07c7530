package main

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var (
	links   = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	formKey = regexp.MustCompile(`name="csrf" value="([^"]+)"`)
)

// crawl logs in to the pages of a site and reads all that they lead to; it
// returns what they answered, by URL. A link that leads nowhere is a fault.
func crawl(t *testing.T, site, token string) map[string]string {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	read := func(answer *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %s, %v", answer.Request.URL, answer.Status, err)
		}
		return string(body)
	}
	key := formKey.FindStringSubmatch(read(client.Get(site + "/ui/login")))
	if key == nil {
		t.Fatal("the login has no form")
	}
	found := map[string]string{}
	for todo := []string{site + "/ui"}; len(todo) > 0; todo = todo[1:] {
		at := todo[0]
		if _, known := found[at]; known {
			continue
		}
		if len(found) == 0 {
			found[at] = read(client.PostForm(site+"/ui/login", url.Values{"csrf": {key[1]}, "token": {token}}))
		} else {
			found[at] = read(client.Get(at))
		}
		base, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range links.FindAllStringSubmatch(found[at], -1) {
			to, err := base.Parse(html.UnescapeString(m[1]))
			if err != nil || !strings.HasPrefix(to.String(), site+"/ui") {
				t.Errorf("%s leads to %s, %v", at, m[1], err)
				continue
			}
			to.Fragment = ""
			todo = append(todo, to.String())
		}
		if len(found) > 1000 {
			t.Fatal("there is no end of pages")
		}
	}
	return found
}
