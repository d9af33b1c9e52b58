/** Payloads of 128 KiB, the most that AWS IoT takes, each of a shape that something is slow on. */
const bytesMax = 128 * 1024
/** Room for the other members of a payload. */
const reserved = 64

function filled(itemAt: (index: number) => unknown, bytes = bytesMax): unknown[] {
  const items: unknown[] = []
  for (let left = bytes - reserved; ;) {
    const item = itemAt(items.length)
    left -= JSON.stringify(item).length + 1
    if (left < 0) return items
    items.push(item)
  }
}

const json = (value: object) => JSON.stringify(value)
const halfBytes = bytesMax / 2
const ones = () => filled(() => 1, halfBytes)
const digits = (count: number) => '7'.repeat(count)
const deepArray = `${'['.repeat(900)}1${']'.repeat(900)}`
const zones = ['Europe/Berlin', 'America/New_York', 'Asia/Tokyo', 'Australia/Sydney']
const yearMs = 31_556_952_000

/** By name; `r` is an array in all of them. */
export const payloads = {
  digits: () => json({ r: filled((index) => index % 10) }),
  words: () => json({ r: filled(() => 'abcd') }),
  distinct: () => json({ r: filled((index) => `w${index}`) }),
  emptyObjects: () => json({ r: filled(() => ({})) }),
  objects: () => json({ r: filled((index) => ({ a: index, b: { c: [index] }, d: `x${index}` })) }),
  /** A long text, and an array to repeat it for. */
  text: () => json({ t: 't'.repeat(60_000), r: ones() }),
  mixedText: () => json({ t: 'tT1;'.repeat(15_000), r: ones() }),
  digitText: () => json({ t: digits(60_000), r: ones() }),
  accents: () => json({ t: 'é '.repeat(20_000), r: ones() }),
  /** A long part that is nearly everywhere in the text. */
  periodic: () =>
    json({ t: 'ab'.repeat(30_000), b: `${'ab'.repeat(300)}b${'ab'.repeat(300)}`, r: ones() }),
  longNumbers: () =>
    `{"n":${digits(30_000)}1.5,"m":${digits(30_000)}2.5,"r":${JSON.stringify(ones())}}`,
  decimals: () => json({ r: filled((index) => `1.${String(index).padStart(20, '3')}`) }),
  deep: () => `{"a":${deepArray},"r":${JSON.stringify(ones())}}`,
  base64: () =>
    json({
      t: Buffer.from(`[${Array(15_000).fill('{}').join(',')}]`).toString('base64'),
      r: ones(),
    }),
  moments: () => json({ r: filled((index) => [index * yearMs, zones[index % zones.length]]) }),
  regexes: () => json({ r: filled((index) => `(a${index}|b[c-x]*)+`) }),
  timePatterns: () => json({ r: filled((index) => `yyyy-MM-dd ${index}`) }),
  members: () =>
    json({
      o: Object.fromEntries(filled((index) => [`k${index}`, 1]) as [string, number][]),
      r: [1],
    }),
  meta: () => json({ meta: 'm'.repeat(65_000), r: filled(() => 1, 24_000) }),
} satisfies Record<string, () => string>

export type PayloadName = keyof typeof payloads
