// Package elastic finds documents with Elasticsearch 8.11 or later.
//
// An index lies behind two aliases, PREFIX-read and PREFIX-write, so that another one can take its place while it is used (Rebuild).
// Documents of an organization lie in one shard, which its id is the routing of, and every request filters by the organization
// besides. Nothing is used that 8.11 does not have, nor any module that scripts or deletes by query.
package elastic

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/secret"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// Options says where Elasticsearch is and how its index is made.
type Options struct {
	URLs     []string // of the nodes
	APIKey   *secret.Value
	Username string
	Password *secret.Value
	CA       []byte // certificates that the servers' may be signed by, in PEM; nil takes those of the system

	// Prefix begins the names of indexes and aliases.
	Prefix string
	// Shards and Replicas are those of an index that is made.
	Shards, Replicas int

	// AwaitFilling keeps an index that was made empty from being searched until it was made anew (Rebuild): it is UNAVAILABLE till then,
	// instead of finding nothing of what there is.
	AwaitFilling bool

	// Timeout limits a search, BulkTimeout one request that writes.
	Timeout, BulkTimeout time.Duration
	// CoolDown is how long a server that fails is left alone.
	CoolDown time.Duration
	Log      *slog.Logger

	// Pause waits before something is tried again; for tests.
	Pause func(ctx context.Context, d time.Duration) error
}

const (
	maxBulkBytes = 4 << 20 // of one request
	maxBulkDocs  = 500     // of one request
	maxWriters   = 2       // requests that write, at the same time: who wants more waits

	refreshEvery = time.Second
	pagesLast    = "5m" // how long after a page the next one can be turned to
)

// Index is an index of Elasticsearch.
type Index struct {
	options Options
	schema  textsearch.Schema
	server  esapi.Transport
	writers chan struct{}
	ensured sync.Mutex
}

var _ textsearch.Index = (*Index)(nil)

// Prefixes are the names that indexes can begin with.
var Prefixes = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,99}$`)

// New returns the index of a schema. It asks the server nothing: an index that is missing is made when it is first used.
func New(schema textsearch.Schema, o Options) (*Index, error) {
	if !Prefixes.MatchString(o.Prefix) {
		return nil, fault.Invalid("prefix", "must be up to 100 lower-case letters, digits, - and _, and begin with a letter")
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.BulkTimeout <= 0 {
		o.BulkTimeout = 30 * time.Second
	}
	if o.CoolDown <= 0 {
		o.CoolDown = 5 * time.Second
	}
	if o.Shards <= 0 {
		o.Shards = 1
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Pause == nil {
		o.Pause = pause
	}
	var nodes []*url.URL
	for _, text := range o.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return nil, fault.Invalid("url", "is not one of a server")
		}
		nodes = append(nodes, u)
	}
	if len(nodes) == 0 {
		return nil, fault.Invalid("url", "is missing")
	}
	server, err := connect(nodes, o)
	if err != nil {
		return nil, err
	}
	return &Index{options: o, schema: schema, server: server, writers: make(chan struct{}, maxWriters)}, nil
}

// Capabilities implements textsearch.Index.
func (*Index) Capabilities() textsearch.Capabilities {
	return textsearch.Capabilities{Name: "elasticsearch", Fuzzy: true, Languages: knownLanguages(), Delay: refreshEvery}
}

func (x *Index) read() string    { return x.options.Prefix + "-read" }
func (x *Index) write() string   { return x.options.Prefix + "-write" }
func (x *Index) next() string    { return x.options.Prefix + "-next" }
func (x *Index) markers() string { return x.options.Prefix + "-markers" }

// first is the index that is made where there is none. Two processes that make it at once make the same one.
func (x *Index) first() string { return x.options.Prefix + "-000001" }

// Reach says what is wrong with the server or its index, nil if nothing is.
func (x *Index) Reach(ctx context.Context) error {
	stale, err := x.Stale(ctx)
	if err == nil && stale {
		err = fault.Unavailable("the index is not filled, or was made by another version: it has to be made anew")
	}
	return err
}

// Stale says whether the index has to be made anew: because nobody has filled it, or because it was made for other documents.
func (x *Index) Stale(ctx context.Context) (bool, error) {
	if err := x.ensure(ctx); err != nil {
		return false, err
	}
	var found map[string]struct {
		Mappings struct {
			Meta struct {
				Layout string `json:"layout"`
			} `json:"_meta"`
		} `json:"mappings"`
	}
	err := x.call(ctx, x.options.Timeout, esapi.IndicesGetMappingRequest{Index: []string{x.read()}}, &found)
	if status(err) == http.StatusNotFound {
		return true, nil
	}
	for _, m := range found {
		if m.Mappings.Meta.Layout != x.layout() {
			return true, nil
		}
	}
	return false, err
}

// unfilled says that a name was not found because nobody has filled the index yet.
func (x *Index) unfilled(err error) error {
	if x.options.AwaitFilling && status(err) == http.StatusNotFound {
		return textsearch.Unavailable(fmt.Errorf("the index has not been filled yet: %w", err))
	}
	return err
}

// ensure makes an empty index where there is none.
func (x *Index) ensure(ctx context.Context) error {
	x.ensured.Lock()
	defer x.ensured.Unlock()
	there, err := x.aliasExists(ctx, x.write())
	if err != nil || there {
		return err
	}
	aliases := object{x.write(): object{"is_write_index": true}}
	if !x.options.AwaitFilling {
		aliases[x.read()] = object{}
	}
	err = x.call(ctx, x.options.BulkTimeout, esapi.IndicesCreateRequest{Index: x.first(), Body: encode(x.definition(aliases, x.options.Replicas, refreshEvery))}, nil)
	if refusal(err, "resource_already_exists_exception") {
		err = nil // another process was faster
	} else if err == nil {
		x.options.Log.InfoContext(ctx, "there was no search index: made an empty one", "index", x.first())
	}
	return err
}

func (x *Index) aliasExists(ctx context.Context, name string) (bool, error) {
	err := x.call(ctx, x.options.Timeout, esapi.IndicesExistsAliasRequest{Name: []string{name}}, nil)
	if status(err) == 404 {
		return false, nil
	}
	return err == nil, err
}

func (x *Index) String() string { return strings.Join(x.options.URLs, ",") + "/" + x.options.Prefix }
