/** One value in DER [ITU-T X.690]. */
export interface DerValue {
  /** The first byte: class, form and number of the tag. */
  readonly tag: number
  readonly content: Buffer
}

/** Tags of single bytes. */
export const derTags = Object.freeze({
  integer: 0x02,
  octetString: 0x04,
  objectIdentifier: 0x06,
  sequence: 0x30,
  /** `[0]` around a value, and `[0]` in place of the tag of an OCTET STRING. */
  explicit0: 0xa0,
  implicit0: 0x80,
})

/** Lengths of more bytes are of no store. */
const lengthBytesMax = 4

/**
 * Reads the values that stand one after the other.
 *
 * @throws Error when the bytes are not DER
 */
export function readDerValues(bytes: Buffer): readonly DerValue[] {
  const values: DerValue[] = []
  let at = 0
  while (at < bytes.length) {
    const tag = bytes[at] ?? 0
    const first = bytes[at + 1] ?? 0
    at += 2
    let length = first
    if (first >= 0x80) {
      const size = first - 0x80
      if (size === 0 || size > lengthBytesMax || at + size > bytes.length) throw notDer()
      length = bytes.readUIntBE(at, size)
      at += size
    }
    if (at + length > bytes.length) throw notDer()
    values.push({ tag, content: bytes.subarray(at, at + length) })
    at += length
  }
  return values
}

/**
 * The values inside of a value.
 *
 * @throws Error when the value has another tag, or is missing
 */
export function insideOf(value: DerValue | undefined, tag: number): readonly DerValue[] {
  return readDerValues(contentOf(value, tag))
}

/** @throws Error when the value has another tag, or is missing */
export function contentOf(value: DerValue | undefined, tag: number): Buffer {
  if (value?.tag !== tag) throw notDer()
  return value.content
}

/** The text of an object identifier, such as `1.2.840.113549.1.7.1`. */
export function identifierOf(value: DerValue | undefined): string {
  const arcs: number[] = []
  let arc = 0
  for (const byte of contentOf(value, derTags.objectIdentifier)) {
    arc = arc * 0x80 + (byte & 0x7f)
    if (byte >= 0x80) continue
    // The first two numbers share one.
    const root = Math.min(2, Math.floor(arc / 40))
    if (arcs.length === 0) arcs.push(root, arc - root * 40)
    else arcs.push(arc)
    arc = 0
  }
  return arcs.join('.')
}

const notDer = () => new Error('the file is damaged')
