// What can be said about a transcript before it is sent.

/** The server takes this many bytes in one request (RAPPORT_MAX_BODY_BYTES). */
export const maxBytes = 1 << 20

export const extensions = ['.vtt', '.srt', '.txt', '.json', '.jsonl', '.csv', '.tsv', '.md']

/** Returns why the file cannot be imported, null if it can be tried. */
export function refusal({name, size}) {
  if (!extensions.some(extension => name.toLowerCase().endsWith(extension))) {
    return `${name} is not a transcript file. Choose a .vtt, .srt, .txt, .json or .csv file.`
  }
  if (size === 0) return `${name} is empty.`
  return tooLarge(size) ? `${name} is ${formatSize(size)}. At most 1 MB can be sent at once.` : null
}

/** Returns why the text cannot be sent as it is, null if it can. JSON makes some characters longer than they are. */
export function textRefusal(content) {
  const size = new TextEncoder().encode(JSON.stringify(content)).length + envelopeBytes
  return tooLarge(size) ? `This is ${formatSize(size)} when sent. At most 1 MB can be sent at once.` : null
}

/** Decodes a file: UTF-16 if it says so, else UTF-8, else what old Windows programs wrote. */
export function decode(bytes) {
  const [first, second] = bytes
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(bytes)
  try {
    return new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(bytes) // the file stays as it is
  } catch {
    return new TextDecoder('windows-1252').decode(bytes)
  }
}

/** 1.2 MB, 34 kB or 120 bytes. */
export function formatSize(bytes) {
  if (bytes >= 1 << 20) return `${(Math.ceil((bytes * 10) / (1 << 20)) / 10).toFixed(1)} MB`
  return bytes >= 1000 ? `${Math.round(bytes / 1024)} kB` : `${bytes} bytes`
}

const envelopeBytes = 2048 // the operation and the other variables
const tooLarge = size => size > maxBytes
