package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

// relation is what a viewer is to a row, as the schema's enum Relation names it.
type relation string

const (
	self       relation = "SELF"
	admin      relation = "ADMIN"
	coach      relation = "COACH"
	supervisor relation = "SUPERVISOR"
	client     relation = "CLIENT"
	sponsor    relation = "SPONSOR"
	informed   relation = "PROGRESS_SPONSOR" // a sponsor, too
)

// related says whether the viewer stands in a relation to a row at all: holds the role, and is the one.
func related(r relation, v *viewer, f *fact) bool {
	switch r {
	case self:
		return f.everybody || f.self == v.user
	case admin:
		return v.is("OWNER", "ADMIN")
	case coach:
		return v.is("COACH") && (slices.Contains(f.coaches, v.user) || slices.Contains(f.supervises, v.user))
	case supervisor:
		return v.is("SUPERVISOR") && (slices.ContainsFunc(f.coaches, func(c id.UUID) bool { return slices.Contains(v.coaches, c) }) ||
			f.typ == "User" && slices.Contains(v.coaches, f.self))
	case client:
		return v.is("CLIENT") && slices.Contains(f.clients, v.user)
	case sponsor:
		return v.is("SPONSOR") && slices.Contains(f.sponsors, v.user)
	case informed:
		return v.is("SPONSOR") && slices.Contains(f.informed, v.user)
	}
	panic(r)
}

// Which of the rows that a viewer is related to are opened by it.
type condition func(*fact) bool

func all(*fact) bool           { return true }
func consented(f *fact) bool   { return f.consent }
func shared(f *fact) bool      { return f.shared }
func accepted(f *fact) bool    { return f.accepted }
func supervisory(f *fact) bool { return f.consent && f.supervisory }

// Of notes and their versions.
func withOrg(f *fact) bool     { return f.supervisory }
func sharedOrOwn(f *fact) bool { return f.accepted } // by its coach

type (
	opens map[relation]condition
	only  map[string][]relation
)

// decision says who sees the rows of a type, and which fields not everybody of them sees.
type decision struct {
	rows   opens
	fields string // that everybody sees who sees the row
	only   only   // that these see alone
}

// decisions is "Who sees what" of docs/architecture.md, type by type and field by field. A type or field that is not here
// fails the test: somebody has to decide.
var decisions = map[string]decision{
	"Organization": {opens{self: all, admin: all}, "id slug name createdAt members consentTexts",
		only{"retentionDays": {admin}, "aiEnabled": {admin}, "speakerRoles": {admin}, "modelSees": {admin}, "modelMonthlyLimitMicros": {admin}, "modelSpending": {admin}, "vectorBacklog": {admin}, "retentionReport": {admin}}},
	"Membership": {opens{self: all, admin: all}, "id user roles status createdAt supervisors supervises", nil},
	"Invitation": {opens{admin: all}, "id email roles status invitedBy expiresAt createdAt emailDelivery", nil},
	"User": {opens{self: all, admin: all, coach: all, supervisor: all, client: all, sponsor: all}, "id name",
		only{"email": {self, admin}, "timeZone": {self, admin}}},

	"AuditEvent": {opens{admin: all}, "id sequence at actor action kind entityId client fields request", nil},
	"DeadLetter": {opens{admin: all}, "id kind entityId attempts errorCode since", nil},

	"Client": {opens{admin: all, coach: all, supervisor: all, client: all, sponsor: all}, "id name coach user tags consents engagements sessions insights themes notes goals actionItems createdAt",
		only{"goalCount": {admin}, "openActionCount": {admin}, "email": {admin, coach, client}, "legalHold": {admin}, "lifecycle": {admin, coach, supervisor}, "archivedAt": {admin, coach, supervisor}, "updatedAt": {admin, coach, supervisor}}},
	"Engagement": {opens{admin: all, coach: all, supervisor: all, client: all, sponsor: all, informed: all},
		"id status client coach sponsors startsOn endsOn sessions notes goals createdAt updatedAt",
		only{"title": {admin, coach, supervisor, client}, "archivedAt": {admin, coach, supervisor}, "reopening": {admin, coach, supervisor},
			"sponsorships": {admin, coach, supervisor, client}, "sessionsIncluded": {admin, coach, supervisor, client, informed}, "sessionsUsed": {admin, coach, supervisor, client, informed}}},
	"Session": {opens{admin: all, coach: all, supervisor: all, client: all, sponsor: all},
		"id number type status startsAt durationMinutes usesSession overlaps engagement client coach participants agenda tags transcript transcripts liveSession metrics insights notes goals actionItems createdAt updatedAt",
		only{"title": {coach, supervisor, client}, "cancellation": {coach, supervisor, client}, "consents": {coach, supervisor, client}, "insightCount": {admin, coach}, "archivedAt": {admin, coach, supervisor}}},
	"Participant": {opens{coach: all, supervisor: all, client: all}, "id name role consents consentRecords user", nil},
	"AgendaTopic": {opens{coach: all, supervisor: all, client: all}, "id title notes status addedBy carriedFrom session createdAt updatedAt", nil},
	"SavedFilter": {opens{self: all}, "id name filter createdAt updatedAt", nil},
	"SavedSearch": {opens{self: all}, "id name query filter mode kinds groupBy orderBy results createdAt updatedAt", nil},
	"AskThread":   {opens{self: all}, "id title scope messages createdAt askedAt", nil},
	"AskMessage":  {opens{self: all}, "id question status failureCode failureMessage insufficientEvidence sentences droppedCount degraded answerer createdAt finishedAt", nil},

	"Transcript": {opens{coach: all, supervisor: consented, client: shared},
		"id version status failure session title format filename sha256 language durationMs warnings sharedWithClient speakers edits utterances metrics analysisRuns archivedAt createdAt updatedAt",
		only{"speakerQuestion": {coach}, "summary": {coach}, "skillEvidence": {coach, supervisor}}},
	"LiveSession": {opens{coach: all, supervisor: consented, client: shared},
		"id session status endReason language sharedWithClient speakers startedAt heardAt pausedAt endedAt revision utterances transcript", only{"source": {coach}, "nudges": {coach}, "metrics": {coach, supervisor}}},
	"LiveNudge":         {opens{coach: all}, "id kind message atMs value threshold evidence topics createdAt dismissedAt", nil},
	"LiveUtterance":     {opens{coach: all, supervisor: consented, client: shared}, "id chunkId revision speaker role text startMs endMs final", nil},
	"Speaker":           {opens{coach: all, supervisor: consented, client: shared}, "id label displayName role roleConfidence roleReason mergedInto", only{"remembered": {coach}}},
	"Utterance":         {opens{coach: all, supervisor: consented, client: shared}, "id index speaker startMs endMs text cues revisions", only{"originalText": {coach}, "codes": {coach, supervisor}}},
	"TranscriptEdit":    {opens{coach: all}, "id kind author at undone undoneAt speakers utteranceCount transcript", nil},
	"UtteranceRevision": {opens{coach: all}, "id text author at", nil},

	"SessionMetrics": {opens{coach: all, supervisor: consented},
		"id definitionVersion basis durationMs silenceShare interactivityPerMin reflectionEvidence patienceMs responseLatencyMs dyad speakers coach client timeline quality", nil},
	"AnalysisRun": {opens{coach: all, supervisor: consented},
		"id status engine engineVersion model promptVersion rejectedCount inputTokens outputTokens costMicros errorCode waitingFor resumesAt createdAt finishedAt",
		only{"insightCount": {coach}}},
	"Insight": {opens{coach: all, supervisor: supervisory, client: accepted},
		"id kind audience title body status reviewedBy reviewedAt citations session analysisRun tags commitment goals theme actionItem createdAt retractedAt",
		only{"originalTitle": {coach, supervisor}, "originalBody": {coach, supervisor}, "confidence": {coach, supervisor}}},
	"Citation": {opens{coach: all, supervisor: supervisory, client: accepted}, "id quote wordsChanged startMs endMs utterances", nil},

	// Of the insights of it that count: whether there is one to be seen.
	"Theme": {opens{coach: shared, supervisor: supervisory, client: accepted},
		"id label client coach insights insightCount sessionCount firstSeenAt lastSeenAt trend mergedInto mergedThemes",
		only{"topic": {coach, supervisor}, "updatedAt": {coach, supervisor}}},

	"Note": {opens{self: all, admin: withOrg, coach: sharedOrOwn, supervisor: withOrg, client: shared},
		"id author client engagement session visibility body versions mentions tags archivedAt createdAt updatedAt", only{"version": {self}}},
	"NoteVersion": {opens{self: all, admin: withOrg, coach: sharedOrOwn, supervisor: withOrg, client: shared}, "id author visibility body createdAt", only{"number": {self}}},
	"Consent": {opens{admin: all, coach: all, supervisor: all, client: all},
		"id scope textVersion text outdated source givenAt recordedBy onBehalf withdrawnAt withdrawnBy client", nil},

	"DataRequest": {opens{admin: all, coach: all, client: all}, "id kind status client requestedBy decidedBy counts createdAt completedAt expiresAt", nil},
	"Goal": {opens{coach: all, supervisor: all, client: all, sponsor: shared},
		"id title status progress targetDate sharedWithSponsor client coach engagement checkIns actionItems sessions insights version closedAt createdAt updatedAt",
		only{"description": {coach, supervisor, client}, "latestScore": {coach, supervisor, client}}},
	"CheckIn": {opens{coach: all, supervisor: all, client: all}, "id score note author corrects corrected at createdAt", nil},
	"ActionItem": {opens{self: all, coach: all, supervisor: all, client: all},
		"id title description status dueOn dueAt overdue assignees client coach engagement session goal sourceInsight createdBy version startedAt completedAt statusChangedAt createdAt updatedAt", nil},
	"Notification": {opens{self: all}, "id type title subject session client actor emailState createdAt readAt", nil},

	"Tag": {opens{coach: all, supervisor: all}, "id name color createdAt", only{"usageCount": {coach}}},
}

// parts are no rows: they are seen with the row, the page or the answer that they are a part of, and so is each of these fields.
var parts = map[string]string{
	"AuditVerification":       "whole checkedEvents problems last complete unsealedCount",
	"AuditProblem":            "kind seal sequence message",
	"AuditSeal":               "number hash",
	"Viewer":                  "user organization membership actionItems notifications unreadNotificationCount notificationPreferences emailDeliveries",
	"PageInfo":                "hasNextPage hasPreviousPage startCursor endCursor",
	"UserError":               "code field message",
	"TranscriptFailure":       "code message",
	"TranscriptWarning":       "line code message assumed",
	"Cue":                     "startMs endMs offset",
	"DyadMetrics":             "patienceMs responseLatencyMs thinkingPauses coachInterruptions clientInterruptions languageStyleMatch coachEcho clientEcho turnEntropy",
	"Quantiles":               "count median p90",
	"ThinkingPauses":          "count unbrokenShare",
	"SpeakerMetrics":          "speaker role talkMs talkShareOfSpeech talkShareOfSession turnCount wordCount meanTurnWords wordsPerMinute longestMonologueMs fillerRate backchannelRate interruptions questionCount questionRate openQuestionShare stackedQuestions advice reflectionCount reflectionRate",
	"RoleMetrics":             "speakerCount talkMs talkShareOfSpeech talkShareOfSession turnCount wordCount meanTurnWords wordsPerMinute longestMonologueMs fillerRate backchannelRate interruptions questionCount questionRate openQuestionShare stackedQuestions advice reflectionCount reflectionRate",
	"AdviceMarkers":           "withPermission withoutPermission",
	"TimelineBucket":          "startMs endMs silenceShare coach client",
	"BucketVoice":             "talkMs talkShareOfSpeech wordsPerMinute questionCount",
	"DataQuality":             "utteranceCount shareWithEndTimes shareWithKnownRole overlapsAvailable pausesAvailable wordingAvailable fillersAvailable",
	"SpeakerQuestion":         "message speakers",
	"SpeakerSuggestion":       "speaker suggestedRole confidence reason",
	"UploadLink":              "method url headers expiresAt",
	"HttpHeader":              "name value",
	"Sponsorship":             "user grants createdAt",
	"EngagementReopening":     "by reason at",
	"SessionCancellation":     "by reason at late",
	"SavedSessionFilter":      "clientIds coachIds engagementIds types statuses startsAfter startsBefore tagIds participantUserIds hasTranscript includeArchived",
	"Commitment":              "speaker due dueOn",
	"Summary":                 "sections",
	"SummarySection":          "heading points",
	"SummaryPoint":            "text citations",
	"Passage":                 "quote startMs endMs session utterances",
	"AskScope":                "client engagement session sessions",
	"AskSentence":             "index text citations",
	"AskAnswerer":             "name version model promptVersion extractive",
	"AskProgressed":           "cursor occurredAt message",
	"AskSentenceAdded":        "cursor occurredAt messageId sentence",
	"SkillEvidence":           "skill level paragraph citations",
	"UtteranceCode":           "scheme code main confidence source rule",
	"TranscriptExport":        "url filename expiresAt",
	"ConsentText":             "scope version text publishedAt",
	"StoreCount":              "store count oldest",
	"DataExport":              "url filename expiresAt",
	"VectorBacklog":           "waiting since waitingFor resumesAt",
	"ModelSpending":           "month spentMicros reservedMicros limitMicros operatorLimitMicros leftMicros callsUnderWay callLimit months",
	"ModelSpendingMonth":      "month costMicros models",
	"ModelCost":               "model calls inputTokens outputTokens costMicros",
	"RetentionReport":         "days before stores lastSweep",
	"RetentionSweep":          "days finishedAt stores",
	"NoteConflict":            "yours theirs base version",
	"ActionAssignee":          "user client dueAt assignedAt",
	"ClientBrief":             "client nextSession lastSession daysSinceLastContact sessionsLeft openActions commitments carriedOver slippingGoals themes toReview toReviewCount",
	"MetricSeries":            "metric unit definitionVersion interval timeZone leftOut groups",
	"MetricGroup":             "client coach engagement points",
	"MetricPoint":             "startsAt endsAt value n previous programme",
	"MetricPrevious":          "startsAt endsAt value n",
	"MetricDistribution":      "p10 p25 median p75 p90 n suppressed",
	"NotificationPreferences": "types quietHours digestHour emailSuppression",
	"NotificationPreference":  "type inApp email",
	"QuietHours":              "from until",
	"EmailDelivery":           "type state reason suppression createdAt finishedAt",
	"NotificationAdded":       "cursor occurredAt notification",
	"NotificationsRead":       "cursor occurredAt unreadCount",
	"InsightAdded":            "cursor occurredAt insight",
	"InsightRevised":          "cursor occurredAt insight",
	"InsightRetracted":        "cursor occurredAt insightId",
	"AnalysisProgressed":      "cursor occurredAt analysisRun",
	"TranscriptStateChanged":  "cursor occurredAt transcript",
	"SearchResults":           "nodes pageInfo totalCount facets interpretation degraded", // of what may be seen: TestSearchShowsNobodyMore
	"SearchHit":               "kind entity session score explain highlights around others cursor",
	"SearchExplanation":       "keywordRank keywordScore semanticRank fusedScore engine",
	"SearchHighlight":         "field segments",
	"SearchSegment":           "text match",
	"SearchFacet":             "field buckets",
	"SearchBucket":            "value label count",
	"SearchInterpretation":    "query notes",
	"SearchSuggestion":        "text kind",
	"LiveSpeaker":             "label role",
	"LiveMetrics":             "elapsedMs coach client sinceClientMs questionRun",
	"LiveVoice":               "talkMs talkShareOfSpeech wordCount wordsPerMinute",
	"LiveStateChanged":        "cursor occurredAt liveSession",
	"LiveUtterancesSaid":      "cursor occurredAt liveSessionId utterances metrics", // for whom: TestLiveEventsOfOthers
	"LiveNudgeGiven":          "cursor occurredAt nudge",
	"LiveInsightChanged":      "cursor occurredAt insightId insight",
}

// answers are the fields of payloads that are no row which somebody has decided about: what whoever made the change is told besides.
var answers = strings.Fields(`DiscardDeadLettersPayload.count ReplayDeadLettersPayload.count DiscardDeadLettersPayload.viewer ReplayDeadLettersPayload.viewer
	InviteMemberPayload.token ResendInvitationPayload.token ImportTranscriptPayload.alreadyImported RequestTranscriptUploadPayload.alreadyImported
	RequestTranscriptUploadPayload.upload ExportTranscriptPayload.export DownloadDataExportPayload.export PublishConsentTextPayload.consentText
	GiveConsentPayload.subject WithdrawConsentPayload.subject TagPayload.entity UntagPayload.entity
	SaveNotePayload.conflict RestoreNoteVersionPayload.conflict
	AppendLiveUtterancesPayload.added AppendLiveUtterancesPayload.revised AppendLiveUtterancesPayload.unchanged
	MarkNotificationsReadPayload.viewer MarkAllNotificationsReadPayload.viewer UpdateNotificationPreferencesPayload.preferences`)

// orders are what lists are ordered by: fields that everybody sees who sees the row, since their order tells of what they hold.
var orders = map[string]string{
	"ClientOrderField.NAME": "Client.name", "ClientOrderField.CREATED_AT": "Client.createdAt", "EngagementOrderField.CREATED_AT": "Engagement.createdAt",
	"SessionOrderField.STARTS_AT": "Session.startsAt", "SessionOrderField.CREATED_AT": "Session.createdAt",
	"InsightOrderField.CREATED_AT": "Insight.createdAt", "InsightOrderField.SESSION_STARTS_AT": "Session.startsAt",
	"NoteOrderField.CREATED_AT": "Note.createdAt", "NoteOrderField.UPDATED_AT": "Note.updatedAt",
	"GoalOrderField.CREATED_AT": "Goal.createdAt", "GoalOrderField.TARGET_DATE": "Goal.targetDate",
	"ActionItemOrderField.DUE": "ActionItem.dueAt", "ActionItemOrderField.CREATED_AT": "ActionItem.createdAt",
	"ThemeOrderField.SESSION_COUNT": "Theme.sessionCount", "ThemeOrderField.LAST_SEEN_AT": "Theme.lastSeenAt", "ThemeOrderField.FIRST_SEEN_AT": "Theme.firstSeenAt",
	"ThemeOrderField.LABEL": "Theme.label",
}

// roots are the ways in. Each is walked below: lists and nodes in TestPolicy, mutations in TestMutationsOfOthers,
// subscriptions in TestEventsOfOthers.
var roots = map[string]string{
	"Query":        "invitations auditEvents deadLetters verifyAuditTrail viewer node nodes clients engagements sessions session transcript insights clientBrief notes metricSeries tags savedFilters savedSearches dataRequests goals goal actionItems actionItem search suggest askThreads",
	"Mutation":     strings.Join(slices.Collect(maps.Keys(mutations)), " "),
	"Subscription": "notificationEvents insightEvents askEvents liveSession",
}

// filters are the conditions of lists: "" tells nothing but what everybody sees who sees the row; else the field whose
// guard stands before it, or the rows that it looks at.
var filters = map[string]string{
	"GoalFilter.clientIds": "", "GoalFilter.engagementIds": "", "GoalFilter.coachIds": "", "GoalFilter.statuses": "",
	"ActionItemFilter.clientIds": "", "ActionItemFilter.engagementIds": "", "ActionItemFilter.sessionIds": "", "ActionItemFilter.goalIds": "", "ActionItemFilter.statuses": "",
	"ActionItemFilter.assignedToMe": "", "ActionItemFilter.dueBefore": "", "ActionItemFilter.dueAfter": "", "ActionItemFilter.overdue": "",
	"AuditEventFilter.actorIds": "", "AuditEventFilter.actions": "", "AuditEventFilter.kinds": "", "AuditEventFilter.entityIds": "", "AuditEventFilter.clientIds": "",
	"AuditEventFilter.after": "", "AuditEventFilter.before": "",
	"DeadLetterFilter.kinds": "", "DeadLetterFilter.errorCodes": "", "DeadLetterFilter.entityIds": "",
	"NotificationFilter.unreadOnly": "", "NotificationFilter.types": "",
	"ClientFilter.nameStartsWith": "", "ClientFilter.lifecycles": "lifecycle", "ClientFilter.coachIds": "", "ClientFilter.tagIds": "tags", "ClientFilter.includeArchived": "",
	"EngagementFilter.clientIds": "", "EngagementFilter.coachIds": "", "EngagementFilter.statuses": "", "EngagementFilter.includeArchived": "",
	"SessionFilter.clientIds": "", "SessionFilter.coachIds": "", "SessionFilter.engagementIds": "", "SessionFilter.types": "", "SessionFilter.statuses": "",
	"SessionFilter.startsAfter": "", "SessionFilter.startsBefore": "", "SessionFilter.tagIds": "tags", "SessionFilter.hasTranscript": "transcripts", "SessionFilter.participantUserIds": "participants", "SessionFilter.includeArchived": "",
	"InsightFilter.sessionIds": "", "InsightFilter.transcriptIds": "", "InsightFilter.clientIds": "", "InsightFilter.kinds": "", "InsightFilter.statuses": "", "InsightFilter.audiences": "",
	"InsightFilter.minConfidence": "confidence", "InsightFilter.createdAfter": "", "InsightFilter.tagIds": "tags",
	"ThemeFilter.minSessions": "", "ThemeFilter.seenAfter": "", "ThemeFilter.includeMerged": "", // of what the viewer sees: TestThemesAreOfWhatIsSeen
	"MetricFilter.clientIds": "", "MetricFilter.coachIds": "", "MetricFilter.engagementIds": "",
	"NoteFilter.clientIds": "", "NoteFilter.engagementIds": "", "NoteFilter.sessionIds": "", "NoteFilter.authorIds": "", "NoteFilter.visibilities": "", "NoteFilter.tagIds": "tags",
	"NoteFilter.includeArchived": "",
}

// grants are the relations through which a viewer sees a row; none: the row does not exist for the viewer.
func grants(v *viewer, f *fact) (through []relation) {
	if f.org != v.org {
		return nil
	}
	for r, open := range decisions[f.typ].rows {
		if related(r, v, f) && open(f) {
			through = append(through, r)
		}
	}
	return through
}

func (w *world) sees(v *viewer, key string) bool {
	f := w.of(v, key)
	return f != nil && len(grants(v, f)) > 0
}

// open says whether a viewer sees a field of a row.
func (w *world) open(v *viewer, key, field string) bool {
	f := w.of(v, key)
	if f == nil {
		return false
	}
	through := grants(v, f)
	guard, guarded := decisions[f.typ].only[field]
	return len(through) > 0 && (!guarded || slices.ContainsFunc(through, func(r relation) bool { return slices.Contains(guard, r) }))
}

func readSchema(t *testing.T) *ast.Schema {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testkit.RepoRoot(t), "schema.graphqls"))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphqls", Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// undecided lists what in the schema differs from the decisions.
func undecided(schema *ast.Schema) (problems []string) {
	fail := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	same := func(where string, want []relation, d *ast.Directive) {
		var got []relation
		if d != nil {
			for _, c := range d.Arguments.ForName("to").Value.Children {
				got = append(got, relation(c.Value.Raw))
			}
		}
		slices.Sort(got)
		if want = slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
			fail("%s: the schema says %v, the decision is %v", where, got, want)
		}
	}
	for name, d := range schema.Types {
		if d.BuiltIn {
			continue
		}
		if d.Kind == ast.InputObject && strings.HasSuffix(name, "Filter") {
			for _, f := range d.Fields {
				if _, ok := filters[name+"."+f.Name]; !ok {
					fail("%s.%s: decide what it may tell", name, f.Name)
				}
			}
		}
		if d.Kind == ast.Enum && strings.HasSuffix(name, "OrderField") {
			for _, value := range d.EnumValues {
				typ, field, _ := strings.Cut(orders[name+"."+value.Name], ".")
				if !slices.Contains(strings.Fields(decisions[typ].fields), field) {
					fail("%s.%s: decide who may see things in that order", name, value.Name)
				}
			}
		}
		if d.Kind != ast.Object {
			continue
		}
		if fields, ok := strings.CutSuffix(name, "Payload"); ok && fields != "" {
			for _, f := range d.Fields {
				if _, row := decisions[f.Type.Name()]; !row && f.Name != "userErrors" && !slices.Contains(answers, name+"."+f.Name) {
					fail("%s.%s: decide whether whoever made the change may see it", name, f.Name)
				}
			}
			continue
		}
		known, rows, isRow := strings.Fields(roots[name]), decision{}, roots[name] == ""
		switch part := parts[name]; {
		case part != "":
			known, isRow = strings.Fields(part), false
		case strings.HasSuffix(name, "Connection"):
			known, isRow = strings.Fields("nodes edges pageInfo totalCount"), false
		case strings.HasSuffix(name, "Edge"):
			known, isRow = strings.Fields("node cursor"), false
		}
		if isRow {
			var decided bool
			if rows, decided = decisions[name]; !decided {
				fail("%s: decide who sees it", name)
				continue
			}
			known = slices.AppendSeq(strings.Fields(rows.fields), maps.Keys(rows.only))
			same(name, slices.Collect(maps.Keys(rows.rows)), d.Directives.ForName("scope"))
			if kinds[name].sql == "" {
				fail("%s: no statement finds its rows", name)
			}
		}
		for _, f := range d.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			if !slices.Contains(known, f.Name) {
				fail("%s.%s: decide who sees it", name, f.Name)
			}
			if isRow {
				same(name+"."+f.Name, rows.only[f.Name], f.Directives.ForName("access"))
			}
		}
		for _, f := range known {
			if d.Fields.ForName(f) == nil {
				fail("%s.%s: a decision about nothing", name, f)
			}
		}
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(decisions)), slices.Collect(maps.Keys(parts))) {
		if schema.Types[name] == nil {
			fail("%s: a decision about nothing", name)
		}
	}
	slices.Sort(problems)
	return problems
}

func TestEverythingIsDecided(t *testing.T) {
	t.Parallel()
	for _, p := range undecided(readSchema(t)) {
		t.Error(p)
	}
	// It can fail: a new type, field, filter, order or mutation, also of a part or an answer, a wider @scope and a lost @access are seen.
	for want, change := range map[string]func(*ast.Schema){
		"Session.verdicts: decide who sees it": func(s *ast.Schema) {
			s.Types["Session"].Fields = append(s.Types["Session"].Fields, &ast.FieldDefinition{Name: "verdicts"})
		},
		"Verdict: decide who sees it": func(s *ast.Schema) {
			s.Types["Verdict"] = &ast.Definition{Kind: ast.Object, Name: "Verdict"}
		},
		"SessionFilter.words: decide what it may tell": func(s *ast.Schema) {
			s.Types["SessionFilter"].Fields = append(s.Types["SessionFilter"].Fields, &ast.FieldDefinition{Name: "words"})
		},
		"Mutation.eraseClient: decide who sees it": func(s *ast.Schema) {
			s.Mutation.Fields = append(s.Mutation.Fields, &ast.FieldDefinition{Name: "eraseClient"})
		},
		"ClientBrief.allNotes: decide who sees it": func(s *ast.Schema) {
			s.Types["ClientBrief"].Fields = append(s.Types["ClientBrief"].Fields, &ast.FieldDefinition{Name: "allNotes"})
		},
		"ClientConnection.emails: decide who sees it": func(s *ast.Schema) {
			s.Types["ClientConnection"].Fields = append(s.Types["ClientConnection"].Fields, &ast.FieldDefinition{Name: "emails"})
		},
		"DeleteNotePayload.others: decide whether whoever made the change may see it": func(s *ast.Schema) {
			s.Types["DeleteNotePayload"].Fields = append(s.Types["DeleteNotePayload"].Fields, &ast.FieldDefinition{Name: "others", Type: ast.NamedType("Int", nil)})
		},
		"InsightOrderField.CONFIDENCE: decide who may see things in that order": func(s *ast.Schema) {
			s.Types["InsightOrderField"].EnumValues = append(s.Types["InsightOrderField"].EnumValues, &ast.EnumValueDefinition{Name: "CONFIDENCE"})
		},
		"Tag: the schema says": func(s *ast.Schema) {
			to := s.Types["Tag"].Directives.ForName("scope").Arguments.ForName("to")
			to.Value.Children = append(to.Value.Children, &ast.ChildValue{Value: &ast.Value{Raw: "SPONSOR"}})
		},
		"Client.email: the schema says []": func(s *ast.Schema) { s.Types["Client"].Fields.ForName("email").Directives = nil },
	} {
		schema := readSchema(t)
		change(schema)
		if got := undecided(schema); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestPolicy shows every row there is, with every field, to everybody, and compares what comes back with the decisions.
//
// What a row says is the same for all who see it, but for guarded fields, which are null, and for what it leads to, which
// is less by exactly what the viewer may not see. So what an edge leads to in full is what all viewers see of it together.
func TestPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := &walk{world: w, schema: readSchema(t), full: map[string]map[string]any{}, seen: map[*viewer]map[string]map[string]any{}}
	for _, v := range w.viewers {
		k.nodes(t, v)
	}
	k.merge()
	fields := 0
	for _, v := range w.viewers {
		fields += k.compare(t, v)
	}
	k.witnesses(t)
	lists := 0
	for _, v := range w.viewers {
		lists += k.lists(t, v)
		k.filters(t, v)
		if n := k.tagged(t, v); n == 0 && (v.who == apptest.Coach || v.who == apptest.Supervisor) {
			t.Errorf("%s is shown no tag on anything", v.who)
		}
		k.byID(t, v)
		k.deep(t, v)
	}
	k.listsHaveAll(t)
	k.briefs(t)
	for _, v := range w.viewers {
		k.leaks(t, v)
	}
	t.Logf("%d viewers, %d rows, %d fields compared, %d lists, %d requests, %d MB", len(w.viewers), len(w.byID), fields, lists, k.requests, k.bytes>>20)
}

// witnesses checks that the world can tell right from wrong: each relation of each type opens a row to somebody who has
// no other relation to it, each guarded field a value, each relation that opens nothing is tried, and each field has a
// value somewhere.
func (k *walk) witnesses(t *testing.T) {
	t.Helper()
	tried := map[string]bool{}
	for _, v := range k.viewers {
		for key := range k.full {
			f := k.of(v, key)
			if f.org != v.org {
				tried["another tenant's "+f.typ] = true
				continue
			}
			through := grants(v, f)
			for _, r := range []relation{admin, coach, supervisor, client, sponsor} {
				if related(r, v, f) && len(through) == 0 {
					tried[fmt.Sprintf("%s opens no %s", r, f.typ)] = true
				}
			}
			if len(through) != 1 {
				continue
			}
			tried[fmt.Sprintf("%s opens %s", through[0], f.typ)] = true
			for field, guard := range decisions[f.typ].only {
				if !empty(k.full[key][field]) {
					tried[fmt.Sprintf("%s of %s for %s is %t", field, f.typ, through[0], slices.Contains(guard, through[0]))] = true
				}
			}
		}
	}
	values := map[string]bool{}
	for key, row := range k.full {
		for field, value := range row {
			if !empty(value) {
				values[k.world.byID[key].typ+"."+field] = true
			}
		}
	}
	var want []string
	for typ, d := range decisions {
		want = append(want, "another tenant's "+typ)
		for _, r := range []relation{self, admin, coach, supervisor, client, sponsor} {
			open, ok := d.rows[r]
			switch {
			case ok && (typ == "Organization" && r == admin || typ == "Membership" && r == coach): // always with SELF
			case ok:
				want = append(want, fmt.Sprintf("%s opens %s", r, typ))
			case r == self || typ == "Organization" || typ == "Membership" || (typ == "Tag" || typ == "SavedFilter" || typ == "SavedSearch" || typ == "AskThread" || typ == "AskMessage") && r != admin: // nobody is that to it
			default:
				want = append(want, fmt.Sprintf("%s opens no %s", r, typ))
			}
			for field, guard := range d.only {
				if open != nil && !(typ == "Organization" && r == admin) {
					want = append(want, fmt.Sprintf("%s of %s for %s is %t", field, typ, r, slices.Contains(guard, r)))
				}
			}
		}
		for _, f := range k.schema.Types[typ].Fields {
			if !values[typ+"."+f.Name] {
				t.Errorf("no row of the test has a value in %s.%s", typ, f.Name)
			}
		}
	}
	slices.Sort(want)
	for _, c := range want {
		if !tried[c] {
			t.Errorf("the test cannot tell whether %s", c)
		}
	}
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case *page:
		return len(v.Nodes) == 0
	}
	return false
}

func text(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}
