/** 754000 → 12:34, and 1:02:03 from an hour on. */
export function formatTime(ms) {
  const seconds = Math.floor(ms / 1000)
  const pad = number => String(number).padStart(2, '0')
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor(seconds / 60) % 60
  return [...(hours ? [hours, pad(minutes)] : [pad(minutes)]), pad(seconds % 60)].join(':')
}

const names = {WEBVTT: 'WebVTT', SUBRIP: 'SubRip', JSON: 'JSON', CSV: 'CSV'}

/** CHANGE_TALK → Change talk. */
export function words(constant) {
  const text = constant.toLowerCase().replaceAll('_', ' ')
  return names[constant] ?? text[0].toUpperCase() + text.slice(1)
}

const days = new Intl.DateTimeFormat('en', {day: 'numeric', month: 'short', year: 'numeric'})

/** 2026-03-02T09:30:00Z → Mar 2, 2026, where the person is. */
export const formatDay = moment => days.format(new Date(moment))
