import {useCallback, useEffect, useMemo, useState} from 'react'

import {formatDay} from './format.js'
import {importableSessions} from './importable.js'

/** A select of the sessions that the signed-in person can import into. */
export function SessionSelect({request, value, onChange}) {
  const nextPage = useMemo(() => importableSessions(request), [request])
  const [sessions, setSessions] = useState(null)
  const [more, setMore] = useState(false)
  const [loading, setLoading] = useState(true)
  const [error, setError] = useState(null)

  const load = useCallback(() => {
    setLoading(true)
    setError(null)
    nextPage()
      .then(
        page => {
          setSessions(known => [...(known ?? []), ...page.sessions])
          setMore(page.more)
        },
        problem => setError(problem.message),
      )
      .finally(() => setLoading(false))
  }, [nextPage])
  useEffect(load, [load])

  const trouble = error && (
    <div className="notice error" role="alert">
      <p>The sessions cannot be loaded. {error}</p>
      <button type="button" className="button" onClick={load}>
        Try again
      </button>
    </div>
  )
  if (error && !sessions) return trouble
  if (sessions?.length === 0) return <p className="notice">This person coaches no session that has begun: there is none to import into.</p>
  return (
    <div className="field">
      <label className="field">
        <span>Session</span>
        <select value={value} onChange={event => onChange(event.target.value)} disabled={!sessions}>
          <option value="" disabled>
            {sessions ? 'Choose a session' : 'Loading…'}
          </option>
          {sessions?.map(session => (
            <option key={session.id} value={session.id}>
              {labelOf(session)}
            </option>
          ))}
        </select>
      </label>
      {more && !error && (
        <button type="button" className="link" disabled={loading} onClick={load}>
          {loading ? 'Loading…' : 'List earlier sessions, too'}
        </button>
      )}
      {trouble}
    </div>
  )
}

function labelOf({number, title, startsAt, client}) {
  return [client?.name, formatDay(startsAt), `${number}. ${title ?? 'Session'}`].filter(Boolean).join(' · ')
}
