import {useEffect, useId, useRef, useState} from 'react'

import {decode, extensions, formatSize, refusal, textRefusal} from './file.js'

/** Where the transcript comes from: a file dropped or chosen, or pasted text. onChange gets it, null while there is none. */
export function Source({disabled, onChange}) {
  const [pasting, setPasting] = useState(false)
  useEffect(keepPageOnMissedDrop, [])
  const Way = pasting ? PasteBox : DropZone
  return (
    <div className="field">
      <Way disabled={disabled} onChange={onChange} />
      <button
        type="button"
        className="link"
        onClick={() => {
          setPasting(!pasting)
          onChange(null)
        }}
      >
        {pasting ? 'Choose a file instead' : 'Paste the text instead'}
      </button>
    </div>
  )
}

/** A browser leaves the page for a file that is dropped beside the zone; here it does nothing. */
function keepPageOnMissedDrop() {
  const ignore = event => {
    if (event.defaultPrevented || !event.dataTransfer?.types.includes('Files')) return
    event.preventDefault()
    event.dataTransfer.dropEffect = 'none'
  }
  window.addEventListener('dragover', ignore)
  window.addEventListener('drop', ignore)
  return () => {
    window.removeEventListener('dragover', ignore)
    window.removeEventListener('drop', ignore)
  }
}

function DropZone({disabled, onChange}) {
  const [file, setFile] = useState(null)
  const [problem, setProblem] = useState(null)
  const [over, setOver] = useState(false)
  const latest = useRef(null)
  const id = useId()

  async function take(chosen) {
    if (!chosen || disabled) return
    latest.current = chosen
    onChange(null)
    setFile(chosen)
    setProblem(refusal(chosen))
    if (refusal(chosen)) return
    try {
      const content = decode(new Uint8Array(await chosen.arrayBuffer()))
      if (latest.current !== chosen) return // another one was chosen while this was read
      const tooLong = textRefusal(content)
      setProblem(tooLong)
      if (!tooLong) onChange({content, filename: chosen.name})
    } catch {
      setProblem(`${chosen.name} cannot be read.`)
    }
  }

  return (
    <>
      <label
        htmlFor={id}
        className={over ? 'drop over' : 'drop'}
        onDragOver={event => {
          event.preventDefault()
          setOver(true)
        }}
        onDragLeave={() => setOver(false)}
        onDrop={event => {
          event.preventDefault()
          setOver(false)
          take(event.dataTransfer.files[0])
        }}
      >
        <input
          id={id}
          type="file"
          className="drop-input"
          accept={extensions.join(',')}
          onChange={event => {
            take(event.target.files[0])
            event.target.value = '' // the same file can be chosen again after it was edited
          }}
        />
        {file ? (
          <>
            <strong>{file.name}</strong>
            <span>{formatSize(file.size)}, drop another to replace it</span>
          </>
        ) : (
          <>
            <strong>Drop a transcript here, or choose a file</strong>
            <span>.vtt, .srt, .txt, .json or .csv, up to 1 MB</span>
          </>
        )}
      </label>
      {problem && (
        <p className="notice error" role="alert">
          {problem}
        </p>
      )}
    </>
  )
}

function PasteBox({onChange}) {
  const [problem, setProblem] = useState(null)
  const id = useId()

  function take(content) {
    const tooLong = textRefusal(content)
    setProblem(tooLong)
    onChange(content.trim() && !tooLong ? {content} : null)
  }

  return (
    <>
      <label htmlFor={id}>Transcript</label>
      <textarea
        id={id}
        rows={7}
        spellCheck={false}
        placeholder={'Ruth: How was your week?\nAmara: Long. I said no, twice.'}
        onChange={event => take(event.target.value)}
      />
      {problem && (
        <p className="notice error" role="alert">
          {problem}
        </p>
      )}
    </>
  )
}
