import {formatTime, words} from './format.js'

/** What became of the import: progress, the transcript with its warnings, or what to correct. */
export function Outcome({state}) {
  const {phase, error, outcome} = state
  return (
    <div className="outcome" aria-live="polite">
      {phase === 'connecting' && <p className="progress">Opening the live connection…</p>}
      {phase === 'sending' && <p className="progress">Sending and reading the transcript…</p>}
      {error && <p className="notice error">{error}</p>}
      {outcome?.userErrors.map(({code, message}, index) => (
        <p key={index} className="notice error">
          {message} <code>{code}</code>
        </p>
      ))}
      {outcome?.transcript && <Imported outcome={outcome} heard={state.transcript} />}
    </div>
  )
}

function Imported({outcome: {transcript, alreadyImported}, heard}) {
  const {status, failure} = heard ?? transcript
  const facts = [
    words(transcript.format),
    transcript.durationMs && formatTime(transcript.durationMs),
    count(transcript.speakers.length, 'speaker'),
    count(transcript.utterances.totalCount, 'utterance'),
  ]
  return (
    <>
      <h3>
        Transcript {transcript.version} <span className={`status ${status.toLowerCase()}`}>{words(status)}</span>
      </h3>
      <p className="facts">{facts.filter(Boolean).join(' · ')}</p>
      {alreadyImported && <p className="notice">This very file was imported for this session before. This is that import.</p>}
      {failure && <p className="notice error">{failure.message}</p>}
      {transcript.warnings.length > 0 && <Warnings warnings={transcript.warnings} />}
    </>
  )
}

function Warnings({warnings}) {
  return (
    <details className="warnings" open={warnings.length <= 3}>
      <summary>{count(warnings.length, 'warning')}</summary>
      <ul>
        {warnings.map(({line, code, message, assumed}, index) => (
          <li key={index}>
            <span className="line">line {line}</span> <code>{code}</code>
            <p>{message}</p>
            <p className="assumed">Assumed: {assumed}</p>
          </li>
        ))}
      </ul>
    </details>
  )
}

const count = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`
