/** UTF-8 bytes of a topic filter, and of a topic [AWS: message broker quotas]. */
const bytesMax = 256
const slashesMax = 7

/**
 * What is wrong with a topic filter, and where in it; Undefined when it is valid [MQTT-4.7.1-1].
 * `+` and `#` stand alone in their level, `#` in the last one.
 */
export function topicFilterProblem(filter: string): { problem: string; at: number } | undefined {
  if (filter === '') return { problem: 'the topic filter is empty', at: 0 }
  if (filter.includes('\u0000')) {
    return {
      problem: 'a topic filter cannot hold the character U+0000',
      at: filter.indexOf('\u0000'),
    }
  }
  if (Buffer.byteLength(filter) > bytesMax) {
    return { problem: `the topic filter is longer than ${bytesMax} bytes`, at: 0 }
  }
  const levels = filter.split('/')
  if (levels.length > slashesMax + 1) {
    return { problem: `the topic filter has more than ${slashesMax} slashes`, at: 0 }
  }
  let at = 0
  for (const [index, level] of levels.entries()) {
    if (/[+#]/.test(level) && level.length > 1) {
      return { problem: "'+' and '#' stand alone in a level of the topic filter", at }
    }
    if (level === '#' && index < levels.length - 1) {
      return { problem: "'#' is the last level of a topic filter", at }
    }
    at += level.length + 1
  }
  return undefined
}
