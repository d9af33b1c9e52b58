/** The formats of key stores and trust stores, told apart by their first bytes. */
type StoreFormat = 'PEM' | 'PKCS#12' | 'JKS' | 'JCEKS'

/** The store of a property: PEM as text, or the bytes of a file in base64. */
interface Store {
  /** Undefined: neither of the formats. */
  readonly format: StoreFormat | undefined
  readonly bytes: Buffer
}

/** The first bytes of Java's own formats, and the tag of a sequence in DER. */
const firstBytes: readonly (readonly [StoreFormat, readonly number[]])[] = [
  ['JKS', [0xfe, 0xed, 0xfe, 0xed]],
  ['JCEKS', [0xce, 0xce, 0xce, 0xce]],
  ['PKCS#12', [0x30]],
]

/** @param text the value of `ssl.keystore` or `ssl.truststore` */
export function readStore(text: string): Store {
  if (text.includes('-----BEGIN ')) return { format: 'PEM', bytes: Buffer.from(text) }
  const bytes = Buffer.from(text, 'base64')
  // A SecretBinary may hold the text of a PEM file.
  if (bytes.includes('-----BEGIN ')) return { format: 'PEM', bytes }
  const found = firstBytes.find(([, first]) => first.every((byte, at) => bytes[at] === byte))
  return { format: found?.[0], bytes }
}

/**
 * Says of a store in a format of Java's own what to use instead.
 *
 * @returns undefined for any other text
 */
export function oldStoreOf(text: string): string | undefined {
  const { format } = readStore(text)
  if (format !== 'JKS' && format !== 'JCEKS') return undefined
  return (
    `a ${format} store is not supported: use PKCS#12 ` +
    '(keytool -importkeystore -deststoretype PKCS12) or PEM'
  )
}
