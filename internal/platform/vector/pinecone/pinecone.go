// Package pinecone keeps vectors in an index of Pinecone: a namespace for each organization and model.
//
// Pinecone is eventually consistent: what was written is found some seconds later, and so is what was removed. Nothing here promises otherwise.
// Whoever searches looks again, in the database, at what was found, so that what somebody must not see any more is never shown; and removes by id what
// it has put, since a group that was put a moment ago may not be listed yet. Writes are the same when they are done twice. A request that fails for a
// passing reason (429, 503, an answer that breaks off or takes too long) is repeated a few times; after that the store is UNAVAILABLE, and the job that asked comes back.
//
// The index has to exist, with the metric cosine and the dimension of the model. No error holds the key, or what the service says.
package pinecone

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/pinecone-io/go-pinecone/v5/pinecone"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/secret"
	"github.com/rapporthq/rapport/internal/platform/vector"
)

// Options say which index, and how it is reached.
type Options struct {
	Key   *secret.Value
	Index string

	// URL is where indexes are described; "" is Pinecone's own.
	URL string

	// Timeout is how long one request may take; 0 is ten seconds.
	Timeout time.Duration

	// Pause waits between two attempts; nil sleeps. For tests.
	Pause func(ctx context.Context, d time.Duration) error
}

const (
	attempts  = 5                      // of one request
	firstWait = 200 * time.Millisecond // after the first; doubled after each

	// Limits of the service.
	maxBytes     = 1_900_000 // of an upsert: 2 MB, and some room for what an estimate does not see
	maxRecords   = 1000      // of an upsert, and ids of a deletion
	maxListed    = 100       // ids of a page
	maxNamespace = 64        // bytes of its name, as a caution: the service tells of no limit
)

// Store keeps vectors at Pinecone.
type Store struct {
	options Options

	mu   sync.Mutex
	conn *connection // nil until it is needed
}

type connection struct {
	key       string
	dimension int
	index     *sdk.IndexConnection
}

var _ vector.Store = (*Store)(nil)

// New returns the store. It asks the service nothing.
func New(o Options) *Store {
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	if o.Pause == nil {
		o.Pause = pause
	}
	return &Store{options: o}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Fresh implements vector.Store.
func (*Store) Fresh() bool { return false }

// Ready implements vector.Store.
func (s *Store) Ready(ctx context.Context, dimension int) (err error) {
	defer fault.Wrap(&err, "pinecone.Ready")
	c, err := s.connect(ctx)
	if err != nil {
		return s.failed(ctx, err)
	}
	if c.dimension != dimension {
		return fault.Unavailable("the index %s keeps vectors of %d numbers, and the model makes %d", s.options.Index, c.dimension, dimension)
	}
	return nil
}

// connect describes the index, once for each key.
func (s *Store) connect(ctx context.Context) (*connection, error) {
	key := s.options.Key.Within(ctx, time.Minute)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil && s.conn.key == key {
		return s.conn, nil
	}
	if key == "" {
		return nil, status.Error(codes.Unauthenticated, "")
	}
	client, err := sdk.NewClient(sdk.NewClientParams{ApiKey: key, Host: s.options.URL, SourceTag: "rapport", RestClient: &http.Client{
		Transport:     http.DefaultTransport,
		Timeout:       s.options.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key goes nowhere else
	}})
	if err != nil {
		return nil, err
	}
	index, err := client.DescribeIndex(ctx, s.options.Index)
	if err != nil {
		return nil, err
	}
	if index.Dimension == nil || index.Metric != sdk.Cosine || index.Status == nil || !index.Status.Ready {
		return nil, fault.Unavailable("the index %s is not ready, not of dense vectors or does not measure cosines", s.options.Index)
	}
	conn, err := client.Index(sdk.NewIndexConnParams{Host: index.Host})
	if err != nil {
		return nil, err
	}
	if s.conn != nil { // whoever still uses it has time to end
		time.AfterFunc(2*s.options.Timeout, func() { _ = s.conn.index.Close() })
	}
	s.conn = &connection{key: key, dimension: int(*index.Dimension), index: conn}
	return s.conn, nil
}

// ask has f ask the service, again if it failed for a passing reason.
func (s *Store) ask(ctx context.Context, in vector.Space, f func(ctx context.Context, index *sdk.IndexConnection) error) error {
	for attempt, wait := 1, firstWait; ; attempt, wait = attempt+1, 2*wait {
		err := s.once(ctx, in, f)
		if err == nil || ctx.Err() != nil || attempt == attempts || !passing(err) {
			return s.failed(ctx, err)
		}
		if err := s.options.Pause(ctx, wait/2+rand.N(wait)); err != nil {
			return err
		}
	}
}

func (s *Store) once(ctx context.Context, in vector.Space, f func(ctx context.Context, index *sdk.IndexConnection) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	return f(ctx, c.index.WithNamespace(namespace(in)))
}

// passing are failures that may be none the next time. All that is asked can be asked twice.
func passing(err error) bool {
	var api *sdk.PineconeError
	if errors.As(err, &api) {
		return api.Code == http.StatusTooManyRequests || api.Code >= 500
	}
	var known *fault.Error
	switch status.Code(err) {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied, codes.FailedPrecondition, codes.OutOfRange, codes.Unimplemented, codes.Unauthenticated:
		return false
	}
	return !errors.As(err, &known)
}

// failed is what callers are told of an error: which kind it is, and nothing that the service has said.
func (s *Store) failed(ctx context.Context, err error) error {
	var api *sdk.PineconeError
	var known *fault.Error
	code := status.Code(err)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &known):
		return err
	case errors.As(err, &api):
		if api.Code == http.StatusUnauthorized || api.Code == http.StatusForbidden {
			s.options.Key.Refused()
		}
		return fault.Unavailable("the index of vectors cannot be used now (%d)", api.Code)
	case code == codes.Unauthenticated || code == codes.PermissionDenied:
		s.options.Key.Refused()
	case !passing(err):
		return fmt.Errorf("the service refuses the request: %s", code) // our mistake
	}
	return fault.Unavailable("the index of vectors cannot be used now (%s)", code)
}

// namespace is the name of a space: the organization and the model, which is cut short if it is very long.
func namespace(s vector.Space) string {
	prefix := s.Org.String() + "."
	if room := maxNamespace - len(prefix); len(s.Model) > room {
		sum := fmt.Sprintf("-%x", sha256.Sum256([]byte(s.Model)))[:9]
		return prefix + s.Model[:room-len(sum)] + sum
	}
	return prefix + s.Model
}

// Put implements vector.Store.
func (s *Store) Put(ctx context.Context, in vector.Space, records []vector.Record) (err error) {
	defer fault.Wrap(&err, "pinecone.Put(%s)", in.Org)
	if err := vector.Check(in, records); err != nil || len(records) == 0 {
		return err
	}
	if err := s.fits(ctx, in, len(records[0].Values)); err != nil {
		return err
	}
	var batch []*sdk.Vector
	size := 0
	send := func() error {
		defer func() { batch, size = nil, 0 }()
		return s.ask(ctx, in, func(ctx context.Context, index *sdk.IndexConnection) error {
			n, err := index.UpsertVectors(ctx, batch)
			if err == nil && int(n) != len(batch) {
				return status.Error(codes.Aborted, "") // it has taken some: once more
			}
			return err
		})
	}
	for _, r := range records {
		v, n, err := encode(r)
		if err != nil {
			return err
		}
		if len(batch) == maxRecords || len(batch) > 0 && size+n > maxBytes {
			if err := send(); err != nil {
				return err
			}
		}
		batch, size = append(batch, v), size+n
	}
	return send()
}

// fits says whether the index keeps vectors of a dimension, before anything is sent.
func (s *Store) fits(ctx context.Context, in vector.Space, dimension int) error {
	err := s.ask(ctx, in, func(context.Context, *sdk.IndexConnection) error { return nil })
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn.dimension != dimension {
		return fault.Invalid("values", "must be %d, as the index has", s.conn.dimension)
	}
	return nil
}

// fieldAt is the time of a record, in seconds.
const fieldAt = "at"

// encode returns a record as the service takes it, and about how many bytes it is, rather too many.
func encode(r vector.Record) (*sdk.Vector, int, error) {
	fields := map[string]any{vector.FieldGroup: vector.GroupOf(r.ID), fieldAt: float64(r.At.Unix())}
	size := 5*len(r.Values) + 2*len(r.ID) + 100
	for name, values := range r.Keywords {
		if len(values) > 0 { // there are no empty ones
			fields[name] = list(values)
			size += len(name) + 20
			for _, v := range values {
				size += len(v) + 10
			}
		}
	}
	metadata, err := structpb.NewStruct(fields)
	return &sdk.Vector{Id: r.ID, Values: &r.Values, Metadata: metadata}, size, err
}

func list(values []string) []any {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
	}
	return all
}

// Delete implements vector.Store.
func (s *Store) Delete(ctx context.Context, in vector.Space, ids []string) (err error) {
	defer fault.Wrap(&err, "pinecone.Delete(%s)", in.Org)
	if err := vector.CheckIDs(in, ids); err != nil || len(ids) == 0 {
		return err
	}
	return s.delete(ctx, in, ids)
}

func (s *Store) delete(ctx context.Context, in vector.Space, ids []string) error {
	return s.ask(ctx, in, func(ctx context.Context, index *sdk.IndexConnection) error {
		return gone(index.DeleteVectorsById(ctx, ids))
	})
}

// gone takes a namespace that is not there for what it is: one without what is to be removed.
func gone(err error) error {
	if status.Code(err) == codes.NotFound {
		return nil
	}
	return err
}

// DeleteGroup implements vector.Store. Indexes without servers of their own remove by id: what is listed under the group is removed. What was put
// seconds before may not be listed yet.
func (s *Store) DeleteGroup(ctx context.Context, in vector.Space, group string) (err error) {
	defer fault.Wrap(&err, "pinecone.DeleteGroup(%s)", in.Org)
	if err := vector.CheckIDs(in, []string{group}); err != nil {
		return err
	}
	prefix, limit := group+"/", uint32(maxListed)
	var all []string
	for next := (*string)(nil); ; {
		var page *sdk.ListVectorsResponse
		err := s.ask(ctx, in, func(ctx context.Context, index *sdk.IndexConnection) (err error) {
			page, err = index.ListVectors(ctx, &sdk.ListVectorsRequest{Prefix: &prefix, Limit: &limit, PaginationToken: next})
			return gone(err)
		})
		if err != nil {
			return err
		}
		if page == nil { // no namespace
			break
		}
		for _, v := range page.VectorIds {
			if v != nil {
				all = append(all, *v)
			}
		}
		if next = page.NextPaginationToken; next == nil || *next == "" {
			break
		}
	}
	for batch := range slices.Chunk(all, maxRecords) {
		if err := s.delete(ctx, in, batch); err != nil {
			return err
		}
	}
	return nil
}

// Drop implements vector.Store.
func (s *Store) Drop(ctx context.Context, in vector.Space) (err error) {
	defer fault.Wrap(&err, "pinecone.Drop(%s)", in.Org)
	if err := vector.CheckIDs(in, nil); err != nil {
		return err
	}
	return s.ask(ctx, in, func(ctx context.Context, index *sdk.IndexConnection) error {
		return gone(index.DeleteNamespace(ctx, namespace(in)))
	})
}

// Count implements vector.Store.
func (s *Store) Count(ctx context.Context, in vector.Space) (n int, err error) {
	defer fault.Wrap(&err, "pinecone.Count(%s)", in.Org)
	if err := vector.CheckIDs(in, nil); err != nil {
		return 0, err
	}
	err = s.ask(ctx, in, func(ctx context.Context, index *sdk.IndexConnection) error {
		about, err := index.DescribeNamespace(ctx, namespace(in))
		if err == nil {
			n = int(about.RecordCount)
		}
		return gone(err)
	})
	return n, err
}

// Models implements vector.Store. The name of a model that is very long comes back shortened, and means the same.
func (s *Store) Models(ctx context.Context, org id.UUID) (models []string, err error) {
	defer fault.Wrap(&err, "pinecone.Models(%s)", org)
	in := vector.Space{Org: org, Model: "-"}
	if err := vector.CheckIDs(in, nil); err != nil {
		return nil, err
	}
	prefix, limit := org.String()+".", uint32(maxListed)
	for next := (*string)(nil); ; {
		var page *sdk.ListNamespacesResponse
		err := s.ask(ctx, in, func(ctx context.Context, index *sdk.IndexConnection) (err error) {
			page, err = index.ListNamespaces(ctx, &sdk.ListNamespacesParams{Prefix: &prefix, Limit: &limit, PaginationToken: next})
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, n := range page.Namespaces {
			if model, ok := strings.CutPrefix(n.Name, prefix); ok {
				models = append(models, model)
			}
		}
		if page.Pagination == nil || page.Pagination.Next == "" {
			break
		}
		next = &page.Pagination.Next
	}
	slices.Sort(models)
	return models, nil
}

// Search implements vector.Store.
func (s *Store) Search(ctx context.Context, in vector.Space, r vector.Request) (matches []vector.Match, err error) {
	defer fault.Wrap(&err, "pinecone.Search(%s)", in.Org)
	if err := vector.CheckRequest(in, r); err != nil {
		return nil, err
	}
	condition := filter(r.Filter, false)
	if condition == never {
		return nil, nil
	}
	if err := s.fits(ctx, in, len(r.Vector)); err != nil {
		return nil, err
	}
	query := &sdk.QueryByVectorValuesRequest{Vector: r.Vector, TopK: uint32(r.Nearest)}
	if condition != always {
		if query.MetadataFilter, err = structpb.NewStruct(condition.fields); err != nil {
			return nil, err
		}
	}
	err = s.ask(ctx, in, func(ctx context.Context, index *sdk.IndexConnection) error {
		found, err := index.QueryByVectorValues(ctx, query)
		matches = nil
		if err == nil {
			for _, m := range found.Matches {
				matches = append(matches, vector.Match{ID: m.Vector.Id, Score: float64(m.Score)})
			}
		}
		return gone(err)
	})
	slices.SortFunc(matches, func(a, b vector.Match) int { return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID)) })
	return matches, err
}
