/**
 * The filter of a shared subscription, `$share/<group>/<filter>`: each message that the filter
 * matches goes to one member of the group. MQTT 5 section 4.8.2; AWS IoT takes it from clients of
 * MQTT 3.1.1, too.
 */
export interface SharedFilter {
  readonly group: string
  /** Which messages the group gets. */
  readonly filter: string
}

const prefix = '$share/'
/** UTF-8 bytes of the name of a group; AWS IoT takes as many. */
const groupBytesMax = 128

/** Whether a filter claims to be of a shared subscription, well-formed or not. */
export const isShared = (filter: string): boolean =>
  filter.startsWith(prefix) || filter === prefix.slice(0, -1)

/** @returns undefined for the filter of a plain subscription, and for one that names no filter */
export function parseSharedFilter(text: string): SharedFilter | undefined {
  if (!text.startsWith(prefix)) return undefined
  const end = text.indexOf('/', prefix.length)
  if (end === -1) return undefined
  return { group: text.slice(prefix.length, end), filter: text.slice(end + 1) }
}

/** @returns what is wrong with the name of a group, or undefined: [MQTT-4.8.2-1], [MQTT-4.8.2-2] */
export function findGroupFault(group: string): string | undefined {
  if (group === '') return 'the name of the group is empty'
  if (/[+#\0]/.test(group)) return 'the name of the group holds a wildcard or U+0000'
  if (Buffer.byteLength(group) > groupBytesMax) {
    return `the name of the group is longer than ${groupBytesMax} bytes`
  }
  return undefined
}
