import {useEffect, useReducer, useRef, useState} from 'react'

import {importAndListen} from './flow.js'
import {Insights} from './insights.jsx'
import {Outcome} from './outcome.jsx'
import {SessionSelect} from './sessions.jsx'
import {Source} from './source.jsx'
import {initial, reduce} from './state.js'

export function ImportPanel({open, signedIn, live, request}) {
  const [sessionId, setSessionId] = useState('')
  const [source, setSource] = useState(null) // {content, filename}
  const [state, dispatch] = useReducer(reduce, initial)
  const stop = useRef(() => {})
  useEffect(() => () => stop.current(), [])

  const busy = state.phase === 'connecting' || state.phase === 'sending'

  function reset() {
    stop.current()
    dispatch({type: 'reset'})
  }

  function submit(event) {
    event.preventDefault()
    stop.current()
    stop.current = importAndListen({request, live, dispatch, input: {sessionId, ...source}})
  }

  return (
    <aside id="import-panel" className="panel" aria-labelledby="import-title" hidden={!open}>
      <h2 id="import-title">Import a transcript</h2>
      <form onSubmit={submit}>
        <fieldset disabled={busy}>
          {signedIn ? (
            <SessionSelect
              request={request}
              value={sessionId}
              onChange={id => {
                setSessionId(id)
                reset()
              }}
            />
          ) : (
            <p className="notice">Sign in to choose a session.</p>
          )}
          <Source
            disabled={busy}
            onChange={next => {
              setSource(next)
              reset()
            }}
          />
          <button type="submit" className="button primary" disabled={!sessionId || !source}>
            {busy ? 'Importing…' : 'Import'}
          </button>
        </fieldset>
      </form>
      <Outcome state={state} />
      {state.phase === 'done' && <Insights state={state} />}
    </aside>
  )
}
