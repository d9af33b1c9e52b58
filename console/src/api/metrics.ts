import { send } from './engine.ts'

/** Sums of counters and gauges by name, read from the Prometheus text of `/v1/metrics`. */
export type Metrics = (name: string, labels?: Readonly<Record<string, string>>) => number

export async function readMetrics(signal?: AbortSignal): Promise<Metrics> {
  const answer = await send({ path: '/v1/metrics', ...(signal && { signal }) })
  const samples = (await answer.text()).split('\n').flatMap((line) => {
    const {
      name,
      labels = '',
      value,
    } = /^(?<name>\w+)(?:\{(?<labels>.*)\})? (?<value>\S+)$/.exec(line)?.groups ?? {}
    return name === undefined ? [] : [{ name, labels, value: Number(value) }]
  })
  return (name, wanted = {}) =>
    samples
      .filter((sample) => sample.name === name)
      .filter(({ labels }) =>
        Object.entries(wanted).every(([label, value]) => labels.includes(`${label}="${value}"`)),
      )
      .reduce((sum, { value }) => sum + value, 0)
}
