import { useState } from 'preact/hooks'
import { grouped } from './figures.ts'
import './payload.css'
import { visibleText } from './visible-text.ts'

/** The ways to look at bytes. */
type Form = 'JSON' | 'Text' | 'Hex'

/** A page does not draw more of one payload at once. */
const textShownMax = 131_072
const hexShownMax = 4_096
const bytesInLine = 16

/**
 * Bytes as JSON, as text or in hexadecimal, as they are read best until somebody chooses.
 *
 * @param total the bytes of the whole, where `base64` is its beginning
 */
export function Payload({ base64, total }: { base64: string; total?: number | undefined }) {
  const [chosen, setChosen] = useState<Form>()
  const bytes = bytesOf(base64)
  const text = textOf(bytes, total)
  const json = text === undefined ? undefined : jsonOf(text)
  const best: Form = json === undefined ? (text === undefined ? 'Hex' : 'Text') : 'JSON'
  const forms: readonly Form[] = json === undefined ? ['Text', 'Hex'] : ['JSON', 'Text', 'Hex']
  const form = chosen !== undefined && forms.includes(chosen) ? chosen : best
  const shown = {
    JSON: () => cut(json ?? ''),
    Text: () => cut(text ?? new TextDecoder().decode(bytes)),
    Hex: () => hexDump(bytes),
  }[form]()
  const isCut = total !== undefined && total > bytes.length
  return (
    <div class="payload">
      <div class="forms" role="group" aria-label="Shown as">
        {forms.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={form === name}
            onClick={() => setChosen(name)}
          >
            {name}
          </button>
        ))}
      </div>
      <pre tabIndex={0}>{visibleText(shown)}</pre>
      {isCut && (
        <p class="cut">
          The first {grouped(bytes.length)} of {grouped(total)} bytes.
        </p>
      )}
    </div>
  )
}

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))

/** Undefined for what is no UTF-8. The end of what is cut off may be half a character. */
function textOf(bytes: Uint8Array<ArrayBuffer>, total = bytes.length): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: total > bytes.length })
  } catch {
    return undefined
  }
}

function jsonOf(text: string): string | undefined {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return undefined
  }
}

const cut = (text: string) =>
  text.length > textShownMax ? `${text.slice(0, textShownMax)}\n...` : text

/** Offset, sixteen bytes, and what of them is ASCII. */
function hexDump(bytes: Uint8Array): string {
  const lines: string[] = []
  for (let start = 0; start < Math.min(bytes.length, hexShownMax); start += bytesInLine) {
    const line = [...bytes.subarray(start, start + bytesInLine)]
    const hex = line.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const text = line.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : '.'))
    lines.push(`${start.toString(16).padStart(6, '0')}  ${hex.padEnd(47)}  ${text.join('')}`)
  }
  if (bytes.length > hexShownMax) lines.push(`... ${grouped(bytes.length)} bytes`)
  return lines.join('\n')
}
