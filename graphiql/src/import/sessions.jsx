import {useEffect, useState} from 'react'

import sessionsDocument from '../operations/panel/sessions.graphql'

/** A select of the signed-in person's latest sessions. */
export function SessionSelect({request, value, onChange}) {
  const [sessions, setSessions] = useState(null)
  const [error, setError] = useState(null)
  const [attempt, setAttempt] = useState(0)

  useEffect(() => {
    let current = true
    setError(null)
    request(sessionsDocument).then(
      data => current && setSessions(data.sessions.nodes),
      problem => current && setError(problem.message),
    )
    return () => {
      current = false
    }
  }, [request, attempt])

  if (error) {
    return (
      <div className="notice error" role="alert">
        <p>The sessions cannot be loaded. {error}</p>
        <button type="button" className="button" onClick={() => setAttempt(attempt + 1)}>
          Try again
        </button>
      </div>
    )
  }
  if (sessions?.length === 0) return <p className="notice">This person has no sessions to import into.</p>
  return (
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
  )
}

function labelOf({number, title, client}) {
  return [client?.name, `${number}. ${title ?? 'Session'}`].filter(Boolean).join(' · ')
}
