package demo

import (
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/platform/auth"
)

// The shape of data/manifest.json. Things refer to each other by key; days are relative to the day of loading.
type (
	manifest struct {
		Organizations []organization `json:"organizations"`
	}
	organization struct {
		Slug         string            `json:"slug"`
		Name         string            `json:"name"`
		Users        []userEntry       `json:"users"`
		Supervisions []supervision     `json:"supervisions"`
		Tags         []tagEntry        `json:"tags"`
		Clients      []clientEntry     `json:"clients"`
		Engagements  []engagementEntry `json:"engagements"`
		Sessions     []sessionEntry    `json:"sessions"`
	}
	userEntry struct {
		Key      string      `json:"key"`
		Name     string      `json:"name"`
		Email    string      `json:"email"`
		TimeZone string      `json:"timeZone"`
		Roles    []auth.Role `json:"roles"`
	}
	supervision struct {
		Supervisor string `json:"supervisor"`
		Coach      string `json:"coach"`
	}
	tagEntry struct {
		Key   string `json:"key"`
		Owner string `json:"owner"`
		Name  string `json:"name"`
		Color string `json:"color"`
	}
	clientEntry struct {
		Key       string          `json:"key"`
		Name      string          `json:"name"`
		Email     *string         `json:"email"`
		Lifecycle string          `json:"lifecycle"`
		Coach     string          `json:"coach"`
		User      *string         `json:"user"`
		Tags      []string        `json:"tags"`
		Consents  []consent.Scope `json:"consents"` // as the client has told the coach
	}
	engagementEntry struct {
		Key              string   `json:"key"`
		Client           string   `json:"client"`
		Coach            string   `json:"coach"`
		Title            string   `json:"title"`
		Status           string   `json:"status"`
		SessionsIncluded *int     `json:"sessionsIncluded"`
		StartsOn         *int     `json:"startsOn"`
		EndsOn           *int     `json:"endsOn"`
		Sponsors         []string `json:"sponsors"`
	}
	sessionEntry struct {
		Key             string             `json:"key"`
		Engagement      string             `json:"engagement"`
		Number          int                `json:"number"`
		Type            string             `json:"type"`
		Status          string             `json:"status"`
		Title           *string            `json:"title"`
		StartsAt        moment             `json:"startsAt"`
		DurationMinutes int                `json:"durationMinutes"`
		Tags            []string           `json:"tags"`
		Participants    []participantEntry `json:"participants"`
		Agenda          []topicEntry       `json:"agenda"`
		Cancellation    *cancellationEntry `json:"cancellation"`
		Transcript      *transcriptEntry   `json:"transcript"`
	}
	moment struct {
		Day  int    `json:"day"`
		Time string `json:"time"` // HH:MM in the coach's zone
	}
	participantEntry struct {
		Role   string  `json:"role"`
		User   *string `json:"user"`
		Client *string `json:"client"`
	}
	topicEntry struct {
		Key    string  `json:"key"`
		Title  string  `json:"title"`
		Notes  *string `json:"notes"`
		Status string  `json:"status"`
		By     *string `json:"by"`   // the coach if left out
		From   *string `json:"from"` // the topic of an earlier session that this one goes on with
	}
	cancellationEntry struct {
		DaysBefore int    `json:"daysBefore"`
		By         string `json:"by"`
		Reason     string `json:"reason"`
	}
	transcriptEntry struct {
		File             string `json:"file"`
		Filename         string `json:"filename"` // as the person would have named the export
		Language         string `json:"language"`
		SharedWithClient bool   `json:"sharedWithClient"`
	}
)
