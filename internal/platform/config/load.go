package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/mail"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"github.com/rapporthq/rapport/internal/platform/secret"
)

var namespaces = regexp.MustCompile(`^[A-Za-z0-9._/#:-]{1,255}$`)

var buckets = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

var accounts = regexp.MustCompile(`^[0-9]{12}$`)

// Lookup returns the value of a variable and whether it is set: os.LookupEnv, or a map in a test.
type Lookup func(name string) (string, bool)

// With is the lookup with one variable set, whatever it is otherwise.
func (l Lookup) With(name, value string) Lookup {
	return func(other string) (string, bool) {
		if other == name {
			return value, true
		}
		return l(other)
	}
}

// Load reads and checks the configuration. The error names every variable that is wrong, one a line, with what it
// should be and never with what it is: a value in the wrong place may be a secret. A variable that is set to nothing
// counts as not set.
func Load(lookup Lookup) (Config, error) {
	env := reader{lookup: lookup, bad: map[string]bool{}}
	c, problems := env.read()
	if c.HTTP.Addr == "" {
		c.HTTP.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(int(c.HTTP.Port)))
	}
	if _, set := env.Lookup("RAPPORT_DEMO"); !set {
		c.Demo = c.Mode == Development
	}
	if c.Analysis.Analyser == "" {
		c.Analysis.Analyser = AnalyserRules
		if c.Analysis.OpenAIKey != "" {
			c.Analysis.Analyser = AnalyserOpenAI
		}
	}
	c.HTTP.CORSOrigins = trimmed(c.HTTP.CORSOrigins)
	c.Search.ElasticsearchURLs = trimmed(c.Search.ElasticsearchURLs)
	problems = append(problems, c.check()...)
	if len(problems) > 0 {
		return Config{}, errors.Join(problems...)
	}
	return c, nil
}

// reader gives go-envconfig the variables, without those that cannot be read as their field's type.
type reader struct {
	lookup Lookup
	bad    map[string]bool
}

// Lookup implements envconfig.Lookuper.
func (r reader) Lookup(name string) (string, bool) {
	if r.bad[name] {
		return "", false
	}
	v, set := r.lookup(name)
	v = strings.TrimSpace(v)
	return v, set && v != ""
}

// read fills a Config. go-envconfig stops at the first value it cannot read and names the field; we want all of
// them, by the names of their variables, so the last variable looked at is taken out and the rest is read again.
func (r reader) read() (Config, []error) {
	var problems []error
	for {
		var c Config
		var last string
		err := envconfig.ProcessWith(context.Background(), &envconfig.Config{
			Target: &c, Lookuper: r,
			Mutators: []envconfig.Mutator{envconfig.MutatorFunc(
				func(_ context.Context, _, name, _, current string) (string, bool, error) {
					last = name
					return current, false, nil
				})},
		})
		if err == nil {
			return c, problems
		}
		if last == "" || r.bad[last] { // not the environment's fault: a tag of ours is wrong
			return c, append(problems, fmt.Errorf("config: %w", err))
		}
		r.bad[last] = true
		problems = append(problems, fmt.Errorf("%s: must be %s", last, expected(last)))
	}
}

// expected says in words what a variable's type takes.
func expected(name string) string {
	for v := range variables(reflect.TypeFor[Config]()) {
		if v.name != name {
			continue
		}
		switch v.typ {
		case reflect.TypeFor[time.Duration]():
			return "a duration like 10s, 5m or 24h"
		case reflect.TypeFor[slog.Level]():
			return "debug, info, warn or error"
		}
		switch v.typ.Kind() {
		case reflect.Bool:
			return "true or false"
		case reflect.Uint16:
			return "a whole number from 0 to 65535"
		case reflect.Int, reflect.Int32, reflect.Int64:
			return "a whole number"
		}
	}
	return "a value of its type"
}

// check applies the rules that a type cannot state. What could not be read has its default here, so that nothing is
// complained about twice.
func (c Config) check() (problems []error) {
	wrong := func(name, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...)))
	}
	atLeast := func(name string, have, least int64) {
		if have < least {
			wrong(name, "must be at least %d", least)
		}
	}
	lasts := func(name string, have, least time.Duration) {
		if have < least {
			wrong(name, "must be at least %s", least)
		}
	}

	if c.Mode != Development && c.Mode != Production {
		wrong("RAPPORT_MODE", "must be %s or %s", Development, Production)
	}
	if !slices.Contains([]Role{All, Server, Worker}, c.Role) {
		wrong("RAPPORT_ROLE", "must be %s, %s or %s", All, Server, Worker)
	}
	if c.Stream.LimitsWithoutRedis != CountAlone && c.Stream.LimitsWithoutRedis != RefuseAll {
		wrong("RAPPORT_LIMITS_WITHOUT_REDIS", "must be %s or %s", CountAlone, RefuseAll)
	}
	if s := c.Stream.IdempotencyStore; s != KeysInPostgres && (s != KeysInRedis || c.Stream.RedisURL == "") {
		wrong("RAPPORT_IDEMPOTENCY_STORE", "must be %s, or %s where RAPPORT_REDIS_URL is set", KeysInPostgres, KeysInRedis)
	}
	if c.Log.Format != LogText && c.Log.Format != LogJSON {
		wrong("RAPPORT_LOG_FORMAT", "must be %s or %s", LogText, LogJSON)
	}
	if c.Metrics.Format != MetricsOff && c.Metrics.Format != MetricsEMF {
		wrong("RAPPORT_METRICS", "must be %s or %s", MetricsOff, MetricsEMF)
	}
	if !namespaces.MatchString(c.Metrics.Namespace) || strings.HasPrefix(c.Metrics.Namespace, "AWS/") {
		wrong("RAPPORT_METRICS_NAMESPACE", "must be up to 255 letters, digits and any of . - _ / # : and not begin with AWS/")
	}
	atLeast("RAPPORT_MAX_BODY_BYTES", c.HTTP.MaxBodyBytes, 1024)
	atLeast("RAPPORT_MAX_QUERY_TOKENS", int64(c.HTTP.MaxQueryTokens), 100)
	atLeast("RAPPORT_MAX_QUERY_COST", int64(c.HTTP.MaxQueryCost), 100)
	atLeast("RAPPORT_MAX_SUBSCRIPTIONS_PER_SOCKET", int64(c.HTTP.MaxSubscriptionsPerSocket), 1)
	atLeast("RAPPORT_MAX_STREAMS_PER_USER", int64(c.HTTP.MaxStreamsPerUser), 0)
	atLeast("RAPPORT_MAX_STREAMS_PER_ORGANIZATION", int64(c.HTTP.MaxStreamsPerOrganization), 0)
	atLeast("RAPPORT_MAX_SUBSCRIPTIONS_PER_USER", int64(c.HTTP.MaxSubscriptionsPerUser), 0)
	atLeast("RAPPORT_MAX_SUBSCRIPTIONS_PER_ORGANIZATION", int64(c.HTTP.MaxSubscriptionsPerOrganization), 0)
	atLeast("RAPPORT_MAX_OPERATIONS_PER_USER", int64(c.HTTP.MaxOperationsPerUser), 0)
	atLeast("RAPPORT_MAX_OPERATIONS_PER_ORGANIZATION", int64(c.HTTP.MaxOperationsPerOrganization), 0)
	atLeast("DATABASE_MAX_CONNS", int64(c.Database.MaxConns), 2)
	atLeast("RAPPORT_WORKER_CONCURRENCY", int64(c.Jobs.Concurrency), 1)
	atLeast("RAPPORT_INDEXING_CONCURRENCY", int64(c.Jobs.Indexing), 1)
	lasts("RAPPORT_DRAIN_DELAY", c.HTTP.DrainDelay, 0)
	lasts("RAPPORT_SHUTDOWN_TIMEOUT", c.HTTP.ShutdownTimeout, time.Second)
	lasts("RAPPORT_JOB_LEASE", c.Jobs.Lease, 5*time.Second)
	lasts("RAPPORT_ANSWERS_KEPT", c.Stream.AnswersKept, 0)
	lasts("RAPPORT_IDEMPOTENCY_WINDOW", c.Stream.IdempotencyWindow, 5*time.Minute)
	lasts("RAPPORT_STREAM_RETENTION", c.Stream.Retention, time.Minute)
	lasts("RAPPORT_SQS_RESEND", c.Jobs.SQSResend, time.Second)
	checkQueue(wrong, "RAPPORT_SQS_QUEUE_URL", c.Jobs.SQSQueueURL)
	checkQueue(wrong, "RAPPORT_S3_EVENTS_QUEUE_URL", c.Files.S3EventsQueueURL)
	if q := c.Files.S3EventsQueueURL; q != "" && q == c.Jobs.SQSQueueURL {
		wrong("RAPPORT_S3_EVENTS_QUEUE_URL", "must be another queue than RAPPORT_SQS_QUEUE_URL")
	}
	if t := c.Events.SNSTopicARN; t != "" && !topics.MatchString(strings.TrimSuffix(t, ".fifo")) {
		wrong("RAPPORT_SNS_TOPIC_ARN", "must be a topic's ARN, like arn:aws:sns:eu-west-1:123456789012:rapport-events")
	}
	if f := c.Files; f.S3Bucket == "" && f.S3Owner+f.S3KMSKey+f.S3EventsQueueURL != "" {
		wrong("RAPPORT_S3_BUCKET", "must be set where another RAPPORT_S3_ variable is")
	}
	if b := c.Files.S3Bucket; b != "" && (!buckets.MatchString(b) || strings.Contains(b, "..") || net.ParseIP(b) != nil) {
		wrong("RAPPORT_S3_BUCKET", "must be a bucket's name: 3 to 63 small letters, digits, dots and hyphens")
	}
	if o := c.Files.S3Owner; o != "" && !accounts.MatchString(o) {
		wrong("RAPPORT_S3_OWNER", "must be an AWS account, twelve digits")
	}
	for _, o := range c.HTTP.CORSOrigins {
		if why := notAnOrigin(o); why != "" {
			wrong("RAPPORT_CORS_ORIGINS", "%s", why)
			break
		}
	}
	if u := c.Database.URL; u != "" && !u.Refers() {
		if err := DatabaseURL(u.Reveal()); err != nil {
			wrong("DATABASE_URL", "%s", err)
		}
	}
	if u := c.Stream.RedisURL; u != "" && !u.Refers() {
		if err := RedisURL(u.Reveal()); err != nil {
			wrong("RAPPORT_REDIS_URL", "%s", err)
		}
	}
	if c.Database.Password != "" && c.Database.URL == "" {
		wrong("DATABASE_URL", "must be set where DATABASE_PASSWORD is")
	}
	for v := range variables(reflect.TypeFor[Config]()) {
		value := reflect.ValueOf(c).FieldByIndex(v.index)
		if value.Kind() != reflect.String {
			continue
		}
		_, refers, err := secret.ParseRef(value.String())
		switch {
		case refers && v.typ != reflect.TypeFor[Secret]():
			wrong(v.name, "cannot refer to a secret: only variables of the type secret can")
		case err != nil:
			wrong(v.name, "%s", err)
		}
	}
	if u := c.HTTP.PublicURL; u != "" {
		if why := notAnOrigin(u); why != "" {
			wrong("RAPPORT_PUBLIC_URL", "%s", why)
		}
	} else if c.Mode == Production {
		wrong("RAPPORT_PUBLIC_URL", "must be set in production")
	}
	c.checkMail(wrong)
	c.checkAddr(wrong)
	c.checkAuth(wrong)
	c.checkAnalysis(wrong)
	c.checkSearch(wrong)
	c.checkMeaning(wrong)
	if c.Mode == Production {
		if c.Database.URL == "" {
			wrong("DATABASE_URL", "must be set in production")
		}
		if c.Demo {
			wrong("RAPPORT_DEMO", "the demo organization has no place in production")
		}
	}
	return problems
}

// DatabaseURL says what is wrong with the address of a database, without repeating it.
func DatabaseURL(text string) error {
	if u, err := url.Parse(text); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return errors.New("must be a URL like postgres://user:password@host:5432/rapport")
	}
	return nil
}

// RedisURL says what is wrong with the address of Redis, without repeating it.
func RedisURL(text string) error {
	if u, err := url.Parse(text); err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" {
		return errors.New("must be a URL like redis://user:password@host:6379/0, or rediss:// for TLS")
	}
	return nil
}

var topics = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$`)

func checkQueue(wrong func(name, format string, args ...any), name, queue string) {
	if queue == "" {
		return
	}
	if u, err := url.Parse(queue); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Count(u.Path, "/") != 2 {
		wrong(name, "must be a queue's URL, like https://sqs.eu-west-1.amazonaws.com/123456789012/rapport-jobs")
	} else if strings.HasSuffix(u.Path, ".fifo") {
		wrong(name, "must be a standard queue: nothing here depends on the order of messages")
	}
}

func (c Config) checkMail(wrong func(name, format string, args ...any)) {
	m := c.Mail
	const like = "must be an address like Rapport <coaching@example.com>"
	from, err := mail.ParseAddress(m.From)
	if err != nil {
		wrong("RAPPORT_MAIL_FROM", like)
	} else if m.SESConfigurationSet != "" && strings.HasSuffix(from.Address, "@localhost") {
		wrong("RAPPORT_MAIL_FROM", "must be set to an address that SES knows where RAPPORT_SES_CONFIGURATION_SET is set")
	}
	if m.PersonLimit < 0 {
		wrong("RAPPORT_MAIL_PERSON_LIMIT", "must be at least 0")
	}
	if m.OrganizationLimit < 0 {
		wrong("RAPPORT_MAIL_ORGANIZATION_LIMIT", "must be at least 0")
	}
	if m.SESConfigurationSet == "" && m.SESReplyTo+m.SESFeedbackQueueURL+m.SESFeedbackTopicARN != "" {
		wrong("RAPPORT_SES_CONFIGURATION_SET", "must be set where another RAPPORT_SES_ variable is")
	}
	checkQueue(wrong, "RAPPORT_SES_FEEDBACK_QUEUE_URL", m.SESFeedbackQueueURL)
	switch topic := m.SESFeedbackTopicARN; {
	case topic != "" && !topics.MatchString(topic):
		wrong("RAPPORT_SES_FEEDBACK_TOPIC_ARN", "must be a topic's ARN, like arn:aws:sns:eu-west-1:123456789012:rapport-mail")
	case topic == "" && m.SESFeedbackQueueURL != "":
		wrong("RAPPORT_SES_FEEDBACK_TOPIC_ARN", "must be set where RAPPORT_SES_FEEDBACK_QUEUE_URL is")
	case topic != "" && m.SESFeedbackQueueURL == "":
		wrong("RAPPORT_SES_FEEDBACK_QUEUE_URL", "must be set where RAPPORT_SES_FEEDBACK_TOPIC_ARN is")
	}
	if m.SESReplyTo != "" {
		if _, err := mail.ParseAddress(m.SESReplyTo); err != nil {
			wrong("RAPPORT_SES_REPLY_TO", like)
		}
	}
}

func (c Config) checkAddr(wrong func(name, format string, args ...any)) {
	host, port, err := net.SplitHostPort(c.HTTP.Addr)
	if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
		wrong("RAPPORT_ADDR", "must be host:port, like 127.0.0.1:8080")
		return
	}
	ip := net.ParseIP(host)
	if loopback := host == "localhost" || ip != nil && ip.IsLoopback(); c.Mode == Development && !loopback {
		wrong("RAPPORT_ADDR", "must be a loopback address in development, where anybody who can connect can sign in; "+
			"set RAPPORT_MODE=production to listen elsewhere")
	}
}

func (c Config) checkAuth(wrong func(name, format string, args ...any)) {
	a := c.Auth
	needed := []struct{ name, value string }{
		{"RAPPORT_AUTH_ISSUER", a.Issuer}, {"RAPPORT_AUTH_AUDIENCE", a.Audience}, {"RAPPORT_AUTH_JWKS_URL", a.JWKSURL},
	}
	any := a.Issuer+a.Audience+a.JWKSURL+a.OrganizationClaim != ""
	for _, n := range needed {
		switch {
		case n.value != "":
		case c.Mode == Production && c.Role.Serves():
			wrong(n.name, "must be set in production")
		case any:
			wrong(n.name, "must be set where another RAPPORT_AUTH_ variable is")
		}
	}
	if a.JWKSURL == "" {
		return
	}
	u, err := url.Parse(a.JWKSURL)
	if err != nil || u.Host == "" {
		wrong("RAPPORT_AUTH_JWKS_URL", "must be an absolute URL")
		return
	}
	if !safe(u) {
		wrong("RAPPORT_AUTH_JWKS_URL", "must be https: whoever can change the answer can sign in as anybody")
	}
}

// safe tells whether nobody on the way can read or change what is sent to a URL.
func safe(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	here := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && here
}

func (c Config) checkAnalysis(wrong func(name, format string, args ...any)) {
	a := c.Analysis
	switch {
	case a.Analyser != AnalyserRules && a.Analyser != AnalyserOpenAI:
		wrong("RAPPORT_ANALYSER", "must be %s or %s", AnalyserRules, AnalyserOpenAI)
	case a.Analyser == AnalyserOpenAI && a.OpenAIKey == "":
		wrong("RAPPORT_OPENAI_API_KEY", "must be set where RAPPORT_ANALYSER is %s", AnalyserOpenAI)
	}
	if u, err := url.Parse(a.OpenAIURL); err != nil || u.Host == "" {
		wrong("RAPPORT_OPENAI_BASE_URL", "must be an absolute URL")
	} else if !safe(u) {
		wrong("RAPPORT_OPENAI_BASE_URL", "must be https: the key and what was said go there")
	}
	if a.OpenAITimeout < time.Second {
		wrong("RAPPORT_OPENAI_TIMEOUT", "must be at least %s", time.Second)
	}
	price := func(p float64) bool { return p > 0 && !math.IsInf(p, 0) } // NaN is above nothing
	if in, out := a.OpenAIInputPrice, a.OpenAIOutputPrice; (in != 0 || out != 0) && !(price(in) && price(out)) {
		wrong("RAPPORT_OPENAI_INPUT_PRICE", "must be set together with RAPPORT_OPENAI_OUTPUT_PRICE, both above 0")
	}
	if a.OpenAIConcurrency < 0 {
		wrong("RAPPORT_OPENAI_CONCURRENCY", "must be at least 0")
	}
	if a.OpenAIMonthlyLimit < 0 {
		wrong("RAPPORT_OPENAI_MONTHLY_LIMIT", "must be at least 0")
	}
}

var indexPrefixes = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,99}$`)

func (c Config) checkSearch(wrong func(name, format string, args ...any)) {
	s := c.Search
	for _, node := range s.ElasticsearchURLs {
		u, err := url.Parse(node)
		switch {
		case err != nil || u.Host == "" || u.RawQuery+u.Fragment != "":
			wrong("RAPPORT_ELASTICSEARCH_URL", "must be absolute URLs, like https://es1.example.com:9200")
		case u.User != nil:
			wrong("RAPPORT_ELASTICSEARCH_URL", "must hold no password: that is what RAPPORT_ELASTICSEARCH_PASSWORD and RAPPORT_ELASTICSEARCH_API_KEY are for")
		case !safe(u):
			wrong("RAPPORT_ELASTICSEARCH_URL", "must be https: what was said goes there")
		default:
			continue
		}
		break
	}
	if len(s.ElasticsearchURLs) == 0 && string(s.ElasticsearchAPIKey+s.ElasticsearchPassword)+s.ElasticsearchUsername+s.ElasticsearchCAFile != "" {
		wrong("RAPPORT_ELASTICSEARCH_URL", "must be set where another RAPPORT_ELASTICSEARCH_ variable is")
	}
	switch {
	case s.ElasticsearchAPIKey != "" && s.ElasticsearchUsername != "":
		wrong("RAPPORT_ELASTICSEARCH_API_KEY", "must not be set together with RAPPORT_ELASTICSEARCH_USERNAME: one of them signs in")
	case (s.ElasticsearchUsername == "") != (s.ElasticsearchPassword == ""):
		wrong("RAPPORT_ELASTICSEARCH_PASSWORD", "must be set together with RAPPORT_ELASTICSEARCH_USERNAME")
	}
	if !indexPrefixes.MatchString(s.ElasticsearchPrefix) {
		wrong("RAPPORT_ELASTICSEARCH_PREFIX", "must be up to 100 lower-case letters, digits, - and _, and begin with a letter")
	}
	if s.ElasticsearchShards < 1 || s.ElasticsearchShards > 1024 {
		wrong("RAPPORT_ELASTICSEARCH_SHARDS", "must be from 1 to 1024")
	}
	if s.ElasticsearchReplicas < 0 || s.ElasticsearchReplicas > 10 {
		wrong("RAPPORT_ELASTICSEARCH_REPLICAS", "must be from 0 to 10")
	}
	if s.ElasticsearchTimeout < 50*time.Millisecond {
		wrong("RAPPORT_ELASTICSEARCH_TIMEOUT", "must be at least %s", 50*time.Millisecond)
	}
}

func (c Config) checkMeaning(wrong func(name, format string, args ...any)) {
	m := c.Meaning
	switch {
	case m.Embedder != EmbedderLocal && m.Embedder != EmbedderOpenAI:
		wrong("RAPPORT_EMBEDDER", "must be %s or %s", EmbedderLocal, EmbedderOpenAI)
	case m.Embedder == EmbedderOpenAI && c.Analysis.OpenAIKey == "":
		wrong("RAPPORT_OPENAI_API_KEY", "must be set where RAPPORT_EMBEDDER is %s", EmbedderOpenAI)
	}
	if m.OpenAIDimension < 8 {
		wrong("RAPPORT_OPENAI_EMBEDDING_DIMENSION", "must be at least 8")
	}
	if (m.PineconeKey == "") != (m.PineconeIndex == "") {
		wrong("RAPPORT_PINECONE_INDEX", "must be set together with RAPPORT_PINECONE_API_KEY")
	}
	if u, err := url.Parse(m.PineconeURL); err != nil || u.Host == "" || !safe(u) {
		wrong("RAPPORT_PINECONE_URL", "must be an absolute URL with https: the key goes there")
	}
	if m.VectorMemory < 1 || m.VectorMemory > 1<<20 {
		wrong("RAPPORT_VECTOR_MEMORY_MIB", "must be from 1 to 1048576")
	}
}

// notAnOrigin says why s is not the origin of one site, "" if it is.
func notAnOrigin(s string) string {
	if strings.Contains(s, "*") {
		return "name the origins: * would let every page on the web call the API"
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || s != u.Scheme+"://"+u.Host {
		return "each must be scheme://host[:port] and nothing more, like https://app.example.com"
	}
	return ""
}

func trimmed(list []string) []string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// Unknown returns a warning for each RAPPORT_ variable in environ (os.Environ) that no field reads, so that a typing
// mistake does not pass for a setting.
func Unknown(environ []string) []string {
	known := map[string]bool{}
	for v := range variables(reflect.TypeFor[Config]()) {
		known[v.name] = true
	}
	var warnings []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "RAPPORT_") && !known[name] {
			warnings = append(warnings, name+" is set, but nothing reads it: see docs/configuration.md for the names")
		}
	}
	slices.Sort(warnings)
	return warnings
}
