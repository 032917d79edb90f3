// Package pineconetest is a server that speaks what Pinecone publishes of its protocol, with its limits and its delays, for tests: the description
// of an index as JSON, and what is done with vectors as gRPC. The messages are those of the official client, which keeps them to itself; their
// descriptions are registered where it is linked, and that is enough to read and write them.
//
// It can be told to fail as a service does: to be busy, away or slow, or to do what it was asked and break off in the middle of the answer.
package pineconetest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/pinecone-io/go-pinecone/v5/pinecone" // registers the messages
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Limits of the service.
const (
	maxRequest  = 2 << 20
	maxRecords  = 1000
	maxMetadata = 40 << 10
	maxNearest  = 10_000
	maxListed   = 100
	maxTerms    = 10_000
)

// Fault is a way to fail.
type Fault int

// The faults.
const (
	Busy      Fault = iota + 1 // 429, and nothing done
	Away                       // 503, and nothing done
	Truncated                  // done, and half of the answer
	Slow                       // done, and no answer until the client gives up
)

// Server is the service, with one index.
type Server struct {
	URL       string
	Key       string
	Index     string
	Dimension int
	Metric    string

	// Lag is how long after a write it is seen.
	Lag time.Duration

	mu         sync.Mutex
	namespaces map[string]map[string]record // as they are seen
	pending    []write
	faults     []Fault
	random     *rand.Rand
	rate       float64
	calls      map[string]int
	failed     int
}

type record struct {
	ID       string         `json:"id"`
	Values   []float32      `json:"values"`
	Metadata map[string]any `json:"metadata"`
}

type write struct {
	at time.Time
	do func()
}

// New starts a server that is gone when the test ends.
func New(t testing.TB, dimension int) *Server {
	s := &Server{Key: "pcsk_test_key", Index: "rapport-test", Dimension: dimension, Metric: "cosine", Lag: 30 * time.Millisecond,
		namespaces: map[string]map[string]record{}, calls: map[string]int{}}
	server := httptest.NewUnstartedServer(s)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.URL = server.URL
	return s
}

// Fail has the next requests for vectors fail, one after the other.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// FailOften has so large a part of all requests for vectors fail, by chance.
func (s *Server) FailOften(rate float64, seed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rate, s.random = rate, rand.New(rand.NewPCG(seed, 1))
}

// Calls says how often a method was called, and Failed how many requests were failed on purpose.
func (s *Server) Calls(method string) int { s.mu.Lock(); defer s.mu.Unlock(); return s.calls[method] }

// Failed says how many requests were failed on purpose.
func (s *Server) Failed() int { s.mu.Lock(); defer s.mu.Unlock(); return s.failed }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Pinecone-Api-Version") == "" {
		http.Error(w, "no version", http.StatusBadRequest)
		return
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		s.serveVectors(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "error": map[string]any{"code": code, "message": "for the key " + r.Header.Get("Api-Key")}})
	}
	switch {
	case r.Header.Get("Api-Key") != s.Key:
		refuse(http.StatusUnauthorized, "UNAUTHENTICATED")
	case r.Method != http.MethodGet || r.URL.Path != "/indexes/"+s.Index:
		refuse(http.StatusNotFound, "NOT_FOUND")
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{
			"name": s.Index, "dimension": s.Dimension, "metric": s.Metric, "host": s.URL, "vector_type": "dense", "deletion_protection": "disabled",
			"spec":   map[string]any{"serverless": map[string]any{"cloud": "aws", "region": "us-east-1", "read_capacity": map[string]any{"mode": "OnDemand", "status": map[string]any{"state": "Ready"}}}},
			"status": map[string]any{"ready": true, "state": "Ready"},
		})
	}
}

// refusal is an error of gRPC.
type refusal struct {
	code codes.Code
	text string
}

func (e *refusal) Error() string { return e.text }

func invalid(format string, args ...any) error {
	return &refusal{codes.InvalidArgument, fmt.Sprintf(format, args...)}
}

// serveVectors answers one call: a frame comes, a frame goes, and how it went stands in the trailer.
func (s *Server) serveVectors(w http.ResponseWriter, r *http.Request) {
	fail := s.fault(strings.TrimPrefix(r.URL.Path, "/VectorService/"))
	answer, err := []byte(nil), error(nil)
	switch {
	case r.Header.Get("Api-Key") != s.Key:
		err = &refusal{codes.Unauthenticated, "not a key: " + r.Header.Get("Api-Key")}
	case fail == Busy:
		err = &refusal{codes.ResourceExhausted, "too many requests"}
	case fail == Away:
		err = &refusal{codes.Unavailable, "away"}
	default:
		answer, err = s.call(r)
	}
	if fail == Slow {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/grpc")
	if err == nil {
		frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(answer)))
		frame = append(frame, answer...)
		if fail == Truncated {
			_, _ = w.Write(frame[:(len(frame)+1)/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(frame)
	}
	code, text := codes.OK, ""
	if refused, ok := err.(*refusal); ok {
		code, text = refused.code, refused.text
	} else if err != nil {
		code, text = codes.Internal, err.Error()
	}
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", strconv.Itoa(int(code)))
	w.Header().Set(http.TrailerPrefix+"Grpc-Message", text)
	w.WriteHeader(http.StatusOK)
}

func (s *Server) fault(method string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
	var f Fault
	switch {
	case len(s.faults) > 0:
		f, s.faults = s.faults[0], s.faults[1:]
	case s.random != nil && s.random.Float64() < s.rate:
		f = Fault(1 + s.random.IntN(3)) // slow ones take a test long
	}
	if f != 0 {
		s.failed++
	}
	return f
}

// call reads the request as JSON, which its description makes of it, and the answer the other way round.
func (s *Server) call(r *http.Request) ([]byte, error) {
	name := strings.Replace(strings.TrimPrefix(r.URL.Path, "/"), "/", ".", 1)
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	method, ok := found.(protoreflect.MethodDescriptor)
	if err != nil || !ok {
		return nil, &refusal{codes.Unimplemented, name}
	}
	frame, err := io.ReadAll(r.Body)
	if err != nil || len(frame) < 5 || frame[0] != 0 {
		return nil, invalid("not a frame")
	}
	if len(frame) > maxRequest {
		return nil, invalid("request of %d bytes exceeds the maximum supported size of 2097152 bytes", len(frame))
	}
	in, out := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
	if err := proto.Unmarshal(frame[5:], in); err != nil {
		return nil, invalid("not a request")
	}
	request, err := protojson.Marshal(in)
	if err != nil {
		return nil, err
	}
	answer, err := s.do(string(method.Name()), request)
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	if err := protojson.Unmarshal(encoded, out); err != nil {
		return nil, err
	}
	return proto.Marshal(out)
}

type request struct {
	Namespace       string
	Vectors         []record
	IDs             []string `json:"ids"`
	DeleteAll       bool
	Filter          map[string]any
	Vector          []float32
	TopK            int
	Prefix          string
	Limit           int
	PaginationToken string
}

type object = map[string]any

func (s *Server) do(method string, raw []byte) (object, error) {
	var r request
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	space, there := s.namespaces[r.Namespace]
	missing := &refusal{codes.NotFound, "Namespace not found"}
	switch method {
	case "Upsert":
		if err := s.checkVectors(r.Vectors); err != nil {
			return nil, err
		}
		s.later(func() {
			if s.namespaces[r.Namespace] == nil {
				s.namespaces[r.Namespace] = map[string]record{}
			}
			for _, v := range r.Vectors {
				s.namespaces[r.Namespace][v.ID] = v
			}
		})
		return object{"upsertedCount": len(r.Vectors)}, nil
	case "Delete":
		if r.DeleteAll || r.Filter != nil || len(r.IDs) == 0 || len(r.IDs) > maxRecords {
			return nil, invalid("delete by 1 to %d ids", maxRecords)
		}
		if !there && len(s.pending) == 0 {
			return nil, missing
		}
		s.later(func() {
			for _, id := range r.IDs {
				delete(s.namespaces[r.Namespace], id)
			}
		})
		return object{}, nil
	case "DeleteNamespace":
		if !there && len(s.pending) == 0 {
			return nil, missing
		}
		s.later(func() { delete(s.namespaces, r.Namespace) })
		return object{}, nil
	case "DescribeNamespace":
		if !there {
			return nil, missing
		}
		return object{"name": r.Namespace, "recordCount": strconv.Itoa(len(space))}, nil
	case "List":
		ids := slices.Sorted(maps.Keys(space))
		page, next, err := page(ids, r)
		if err != nil {
			return nil, err
		}
		items := []object{}
		for _, id := range page {
			items = append(items, object{"id": id})
		}
		return withNext(object{"vectors": items, "namespace": r.Namespace}, next), nil
	case "ListNamespaces":
		names := slices.Sorted(maps.Keys(s.namespaces))
		page, next, err := page(names, r)
		if err != nil {
			return nil, err
		}
		items := []object{}
		for _, name := range page {
			items = append(items, object{"name": name, "recordCount": strconv.Itoa(len(s.namespaces[name]))})
		}
		return withNext(object{"namespaces": items, "totalCount": len(items)}, next), nil
	case "Query":
		return s.query(space, r)
	}
	return nil, &refusal{codes.Unimplemented, method}
}

// later does a write when its time has come. Writes keep their order.
func (s *Server) later(do func()) {
	s.pending = append(s.pending, write{time.Now().Add(s.Lag), do})
	s.settle()
}

func (s *Server) settle() {
	for len(s.pending) > 0 && !s.pending[0].at.After(time.Now()) {
		s.pending[0].do()
		s.pending = s.pending[1:]
	}
}

func (s *Server) checkVectors(all []record) error {
	if len(all) == 0 || len(all) > maxRecords {
		return invalid("1 to %d vectors", maxRecords)
	}
	for _, v := range all {
		if v.ID == "" || len(v.ID) > 512 || strings.ContainsFunc(v.ID, func(r rune) bool { return r > 127 }) {
			return invalid("bad id")
		}
		if len(v.Values) != s.Dimension {
			return invalid("Vector dimension %d does not match the dimension of the index %d", len(v.Values), s.Dimension)
		}
		if !slices.ContainsFunc(v.Values, func(x float32) bool { return x != 0 }) {
			return invalid("Dense vectors must contain at least one non-zero value")
		}
		if encoded, err := json.Marshal(v.Metadata); err != nil || len(encoded) > maxMetadata {
			return invalid("metadata size exceeds the limit of 40960 bytes")
		}
		for _, m := range v.Metadata {
			list, isList := m.([]any)
			if m == nil || isList && slices.ContainsFunc(list, func(x any) bool { _, ok := x.(string); return !ok }) {
				return invalid("metadata must be a string, number, boolean or list of strings")
			}
			if _, isObject := m.(map[string]any); isObject {
				return invalid("metadata must be a string, number, boolean or list of strings")
			}
		}
	}
	return nil
}

func page(all []string, r request) (names []string, next string, err error) {
	if r.Limit < 0 || r.Limit > maxListed {
		return nil, "", invalid("limit must be at most %d", maxListed)
	}
	if r.Limit == 0 {
		r.Limit = maxListed
	}
	for _, name := range all {
		if strings.HasPrefix(name, r.Prefix) && name > r.PaginationToken {
			if len(names) == r.Limit {
				return names, names[len(names)-1], nil
			}
			names = append(names, name)
		}
	}
	return names, "", nil
}

func withNext(o object, next string) object {
	if next != "" {
		o["pagination"] = object{"next": next}
	}
	return o
}

func (s *Server) query(space map[string]record, r request) (object, error) {
	if r.TopK < 1 || r.TopK > maxNearest {
		return nil, invalid("top_k")
	}
	if len(r.Vector) != s.Dimension {
		return nil, invalid("Vector dimension %d does not match the dimension of the index %d", len(r.Vector), s.Dimension)
	}
	if _, err := holds(r.Filter, nil); err != nil {
		return nil, err
	}
	type scored struct {
		id    string
		score float64
	}
	var all []scored
	for _, v := range space {
		if ok, err := holds(r.Filter, v.Metadata); err != nil {
			return nil, err
		} else if ok {
			all = append(all, scored{v.ID, cosine(v.Values, r.Vector)})
		}
	}
	slices.SortFunc(all, func(a, b scored) int {
		if a.score != b.score {
			if a.score > b.score {
				return -1
			}
			return 1
		}
		return strings.Compare(a.id, b.id)
	})
	matches := []object{}
	for _, m := range all[:min(r.TopK, len(all))] {
		matches = append(matches, object{"id": m.id, "score": m.score})
	}
	return object{"matches": matches, "namespace": r.Namespace}, nil
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

// holds reads a filter as it is published.
func holds(filter, about map[string]any) (bool, error) {
	all := true
	for field, condition := range filter {
		switch field {
		case "$and", "$or":
			parts, ok := condition.([]any)
			if !ok || len(parts) == 0 {
				return false, invalid("%s needs a list", field)
			}
			some, every := false, true
			for _, p := range parts {
				part, ok := p.(map[string]any)
				if !ok {
					return false, invalid("%s needs conditions", field)
				}
				held, err := holds(part, about)
				if err != nil {
					return false, err
				}
				some, every = some || held, every && held
			}
			all = all && (field == "$and" && every || field == "$or" && some)
		default:
			if strings.HasPrefix(field, "$") {
				return false, invalid("%s is no operator here", field)
			}
			ops, ok := condition.(map[string]any)
			if !ok {
				ops = map[string]any{"$eq": condition}
			}
			for op, arg := range ops {
				held, err := compare(op, arg, about[field])
				if err != nil {
					return false, err
				}
				all = all && held
			}
		}
	}
	return all, nil
}

func compare(op string, arg, value any) (bool, error) {
	values, isList := value.([]any)
	if !isList && value != nil {
		values = []any{value}
	}
	number, isNumber := arg.(float64)
	mine, hasNumber := value.(float64)
	switch op {
	case "$eq":
		return slices.Contains(values, arg), nil
	case "$ne":
		return value != nil && !slices.Contains(values, arg), nil
	case "$in", "$nin":
		list, ok := arg.([]any)
		if !ok || len(list) == 0 || len(list) > maxTerms {
			return false, invalid("%s needs a list of 1 to %d values", op, maxTerms)
		}
		in := slices.ContainsFunc(values, func(v any) bool { return slices.Contains(list, v) })
		return value != nil && in == (op == "$in"), nil // nothing is said of what has no value: whoever means it says $exists
	case "$exists":
		want, ok := arg.(bool)
		if !ok {
			return false, invalid("$exists needs a boolean")
		}
		return (value != nil) == want, nil
	case "$gt", "$gte", "$lt", "$lte":
		if !isNumber {
			return false, invalid("%s needs a number", op)
		}
		switch {
		case !hasNumber:
			return false, nil
		case op == "$gt":
			return mine > number, nil
		case op == "$gte":
			return mine >= number, nil
		case op == "$lt":
			return mine < number, nil
		}
		return mine <= number, nil
	}
	return false, invalid("%s is no operator", op)
}
