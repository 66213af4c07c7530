// Package api serves what Hangar knows and does over HTTP: the REST API of
// drone/autoscaler, which the drone command line speaks, and Hangar's own
// stacks, runs and decisions. Who shows the Drone token of an admin may use
// it; nothing that it answers holds a secret.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"path"

	"github.com/gin-gonic/gin"

	"hangar/reconciler/history"
	"hangar/state"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 1 << 20

// Store is what the API reads.
type Store interface {
	ServerStore
	StackStore
	RunStore
	DecisionStore
	EventStore
}

// Control is what the API asks of the reconciler. Its methods record what is
// wanted, and by whom (a login), and return; they wait for no machine.
type Control interface {
	// Create adds a server to a pool; with an empty name, to the first one.
	Create(ctx context.Context, pool, by string) (state.Server, error)
	// Destroy drains a server and destroys it; with force, at once.
	Destroy(ctx context.Context, name string, force bool, by string) error
	// Explain says what would be decided now, and why.
	Explain(ctx context.Context) (state.Explanation, error)
	Pause(ctx context.Context, by string) error
	Resume(ctx context.Context, by string) error
	// Poke has the queue read, and decided upon, now rather than at the next interval.
	Poke()
	// Approve has a run that waits applied, and Discard ends it; by is the login of
	// who wants that. NotFound, or a Conflict when the run does not wait.
	Approve(ctx context.Context, run int64, by string) error
	Discard(ctx context.Context, run int64, by string) error
}

// Gate knows whose token it is.
type Gate interface {
	// Admin returns the login of the Drone admin who has the token, or an
	// error that is Unauthorized, Forbidden or Unavailable.
	Admin(ctx context.Context, token string) (login string, err error)
	// Still says whether the login is that of a Drone admin now: nil. The error is
	// Forbidden when it is not.
	Still(ctx context.Context, login string) error
}

// Version is what the program is, as GET /version answers it.
type Version struct {
	Source  string `json:"source"`
	Version string `json:"version"`
	Commit  string `json:"commit"`
}

// API answers requests. Its fields are set before Handler is called.
type API struct {
	Root     string       // path under which everything lies (DRONE_HTTP_ROOT); "/" by default
	Version  Version      // of the program
	Health   func() error // what GET /healthz asks, and tells everybody; healthy without it
	Log      *slog.Logger // slog's default by default
	Machines LogReader    // nil: machines are not reached

	Metrics      http.Handler // answers GET /metrics; nil: there is no such path
	MetricsToken string       // who shows it may read the metrics; empty: the admins of Drone may

	Hook http.Handler // answers POST /hook, Drone's global webhook; nil: DRONE_WEBHOOK_SECRET is not set

	Pages *Pages // the pages at /ui; nil: there are none

	store   Store
	servers listed
	control Control
	auditor Auditor
	gate    Gate
	streams *streaming
	history history.History
}

// New returns an API on what it reads, what it commands, who looks for
// machines, and who may.
func New(store Store, control Control, auditor Auditor, gate Gate) *API {
	return &API{Root: "/", Log: slog.Default(), store: store, control: control, auditor: auditor, gate: gate, streams: newStreaming(), history: history.History{Store: store}}
}

func init() { gin.SetMode(gin.ReleaseMode) } // gin keeps it for the whole process

// Handler returns the API's routes.
func (a *API) Handler() http.Handler { return http.MaxBytesHandler(a.engine(), maxBody) }

func (a *API) engine() *gin.Engine {
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.Use(a.trace, a.recovered, protect, bounded)
	engine.NoRoute(a.lost)
	engine.NoMethod(func(c *gin.Context) {
		a.refuse(c, http.StatusMethodNotAllowed, "This is not done so", c.Request.Method+" is not allowed here")
	})

	root := engine.Group(path.Join("/", a.Root))
	get(root, "/version", a.version)
	get(root, "/healthz", a.healthz)
	get(root, "/varz", a.varz)
	root.POST("/hook", a.hook)
	if a.Metrics != nil {
		root.Match([]string{http.MethodGet, http.MethodHead}, "/metrics", a.scraper, gin.WrapH(a.Metrics))
	}
	a.routes(root.Group("/api", a.authorize))
	if a.Pages != nil {
		a.pages(engine, root)
	}
	return engine
}

// routes adds what wants the token of an admin.
func (a *API) routes(api *gin.RouterGroup) {
	get(api, "/servers", a.listServers)
	api.POST("/servers", a.reply(a.createServer))
	get(api, "/servers/:name", a.reply(a.showServer))
	get(api, "/servers/:name/logs", a.showLogs)
	api.DELETE("/servers/:name", a.reply(a.destroyServer))
	api.POST("/pause", a.pause)
	api.POST("/resume", a.resume)
	api.POST("/reconcile", a.reconcile)

	get(api, "/stacks", a.reply(a.listStacks))
	get(api, "/stacks/:name", a.reply(a.showStack))
	get(api, "/stacks/:name/outputs", a.reply(a.showOutputs))
	get(api, "/stacks/:name/versions", a.reply(a.listVersions))
	get(api, "/stacks/:name/versions/:serial", a.reply(a.showVersion))
	get(api, "/stacks/:name/diff", a.reply(a.showDiff))

	get(api, "/runs", a.reply(a.listRuns))
	get(api, "/runs/:id", a.reply(a.showRun))
	get(api, "/runs/:id/plan", a.showPlan)
	api.POST("/runs/:id/approve", a.reply(a.decideRun("run approved", a.control.Approve)))
	api.POST("/runs/:id/discard", a.reply(a.decideRun("run discarded", a.control.Discard)))

	get(api, "/audit", a.reply(a.showAudit))
	api.POST("/audit", a.reply(a.makeAudit))

	get(api, "/decisions", a.reply(a.listDecisions))
	get(api, "/explain", a.reply(a.explain))
	get(api, "/explain/:what", a.reply(a.explain))

	get(api, "/events", a.reply(a.listEvents))
	api.GET("/events/stream", a.streamToAdmin)

	d := a.describe()
	get(api, "", d.list)
	get(api, "/openapi.json", d.openAPI)
}

// get adds a route for GET, and for HEAD as HTTP wants it.
func get(group *gin.RouterGroup, path string, handler gin.HandlerFunc) {
	group.Match([]string{http.MethodGet, http.MethodHead}, path, handler)
}

// reply makes a handler of a function that returns what is to be answered as
// JSON.
func (a *API) reply(what func(*gin.Context) (any, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		body, err := what(c)
		if err != nil {
			a.fail(c, err)
			return
		}
		c.JSON(http.StatusOK, body)
	}
}

// list returns items, never nil: an empty list is [] in JSON, not null.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
