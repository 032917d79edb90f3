// Package telemetrytest reads measures as CloudWatch does.
package telemetrytest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Line is a line of the embedded metric format.
type Line struct {
	Namespace  string
	Dimensions map[string]string
	Values     map[string]float64
	Units      map[string]string
}

var units = []string{"Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits", "Kilobits", "Megabits", "Gigabits",
	"Terabits", "Percent", "Count", "Bytes/Second", "Kilobytes/Second", "Megabytes/Second", "Gigabytes/Second", "Terabytes/Second", "Bits/Second", "Kilobits/Second",
	"Megabits/Second", "Gigabits/Second", "Terabits/Second", "Count/Second", "None"}

// Read reads lines, and fails the test where one is not what the specification of the embedded metric format asks for.
func Read(t testing.TB, text string) (lines []Line) {
	t.Helper()
	for raw := range strings.Lines(text) {
		l, err := parse([]byte(raw))
		if err != nil {
			t.Errorf("%v: %s", err, raw)
			continue
		}
		lines = append(lines, l)
	}
	return lines
}

func parse(raw []byte) (l Line, err error) {
	var root map[string]json.RawMessage
	if err := json.Unmarshal(raw, &root); err != nil {
		return l, err
	}
	var meta struct {
		Timestamp         *int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	}
	if err := json.Unmarshal(root["_aws"], &meta); err != nil {
		return l, fmt.Errorf("_aws: %w", err)
	}
	if meta.Timestamp == nil || time.Since(time.UnixMilli(*meta.Timestamp)).Abs() > 14*24*time.Hour {
		return l, fmt.Errorf("the time is not from these days, in milliseconds")
	}
	if len(meta.CloudWatchMetrics) != 1 || len(raw) > 256<<10 {
		return l, fmt.Errorf("%d directives, %d bytes", len(meta.CloudWatchMetrics), len(raw))
	}
	d := meta.CloudWatchMetrics[0]
	if d.Namespace == "" || len(d.Namespace) > 1024 {
		return l, fmt.Errorf("namespace %q", d.Namespace)
	}
	if len(d.Dimensions) != 1 || len(d.Dimensions[0]) > 30 || len(d.Metrics) < 1 || len(d.Metrics) > 100 {
		return l, fmt.Errorf("%d metrics in dimensions %v", len(d.Metrics), d.Dimensions)
	}
	l = Line{d.Namespace, map[string]string{}, map[string]float64{}, map[string]string{}}
	for _, name := range d.Dimensions[0] {
		var value string
		if err := json.Unmarshal(root[name], &value); err != nil || value == "" || len(value) > 1024 || len(name) > 250 {
			return l, fmt.Errorf("dimension %q is no text of the line", name)
		}
		l.Dimensions[name] = value
	}
	for _, m := range d.Metrics {
		var value float64
		if err := json.Unmarshal(root[m.Name], &value); err != nil || string(root[m.Name]) == "null" || m.Name == "" || len(m.Name) > 1024 {
			return l, fmt.Errorf("metric %q is no number of the line", m.Name)
		}
		if !slices.Contains(units, m.Unit) {
			return l, fmt.Errorf("metric %q is in %q", m.Name, m.Unit)
		}
		l.Values[m.Name], l.Units[m.Name] = value, m.Unit
	}
	if len(root) != 1+len(l.Dimensions)+len(l.Values) {
		return l, fmt.Errorf("something is in the line that is neither dimension nor metric")
	}
	return l, nil
}
