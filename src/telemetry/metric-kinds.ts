import { Counter, Gauge, Histogram } from 'prom-client'
import type { LabelValues, Registry } from 'prom-client'

/** The kinds of metrics that telemetry.ts declares, each with bounded label sets. */

/** Stands for what has no label of its own. */
export const otherLabel = 'other'

/**
 * Label sets of one metric that are told apart: those that come first. Rules, streams and codes of
 * services make label sets, and Prometheus keeps each for as long as its data.
 */
const labelSetsMax = 2_000

/** Puts `other` in the place of labels beyond the bound. */
interface LabelBound<Label extends string> {
  of(labels: LabelValues<Label>): LabelValues<Label>
  /** The series of these labels is gone. */
  forget(labels: LabelValues<Label>): void
}

/** @param bounded the labels that have any number of values */
function boundLabels<Label extends string>(bounded: readonly Label[]): LabelBound<Label> {
  const known = new Set<string>()
  const keyOf = (labels: LabelValues<Label>) => bounded.map((name) => labels[name]).join('\0')
  return {
    of(labels) {
      const key = keyOf(labels)
      if (known.has(key)) return labels
      if (known.size >= labelSetsMax) return othersOf(labels, bounded)
      known.add(key)
      return labels
    },
    forget: (labels) => void known.delete(keyOf(labels)),
  }
}

function othersOf<Label extends string>(
  labels: LabelValues<Label>,
  bounded: readonly Label[],
): LabelValues<Label> {
  const others = { ...labels }
  for (const name of bounded) if (others[name] !== undefined) others[name] = otherLabel
  return others
}

interface BoundedCounter<Label extends string> extends Pick<Counter<Label>, 'get' | 'reset'> {
  inc(labels?: LabelValues<Label>, count?: number): void
  remove(labels: LabelValues<Label>): void
}

export function counter<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  ...labelNames: Label[]
): BoundedCounter<Label> {
  const metric = new Counter({ name, help, labelNames, registers: [registry] })
  const bound = boundLabels(labelNames)
  return {
    get: () => metric.get(),
    reset: () => metric.reset(),
    inc(labels = {}, count = 1) {
      metric.inc(bound.of(labels), count)
    },
    remove(labels) {
      bound.forget(labels)
      metric.remove(labels)
    },
  }
}

/** A value with its labels, of a metric that is computed when it is read. */
export interface Sample<Label extends string> {
  readonly labels: LabelValues<Label>
  readonly value: number
}

interface SampledOptions<Label extends string> {
  readonly labels: readonly Label[]
  /** Those of the labels that have any number of values. */
  readonly bounded: readonly Label[]
  readonly read: () => Iterable<Sample<Label>> | Promise<Iterable<Sample<Label>>>
}

/** A counter whose values are kept elsewhere, and only grow. */
export function sampledCounter<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  { labels: labelNames, bounded, read }: SampledOptions<Label>,
) {
  const bound = boundLabels(bounded)
  return new Counter<Label>({
    name,
    help,
    labelNames,
    registers: [registry],
    async collect() {
      const samples = await read()
      this.reset()
      for (const { labels, value } of samples) this.inc(bound.of(labels), value)
    },
  })
}

/** A count that is increased for each message: it costs only an addition. */
export interface Tally {
  inc(): void
}

/**
 * A counter with tallies, which are added up when the counter is read. Finding the value of a label
 * set in the library takes a quarter of a microsecond each time.
 */
export function tallyCounter<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  ...labelNames: Label[]
) {
  const tallies: { readonly labels: LabelValues<Label>; count: number }[] = []
  const metric = new Counter<Label>({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      for (const tally of tallies) {
        if (tally.count > 0) this.inc(tally.labels, tally.count)
        tally.count = 0
      }
    },
  })
  return Object.assign(metric, {
    /** Each call makes a new tally, so callers must keep theirs. */
    tally(labels: LabelValues<Label>): Tally {
      const tally = { labels, count: 0 }
      tallies.push(tally)
      return { inc: () => void tally.count++ }
    },
  })
}

/** A gauge that computes its value when it is read. */
export function sampledGauge(registry: Registry, name: string, help: string) {
  let read: (() => number) | undefined
  const metric = new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read?.() ?? 0)
    },
  })
  return Object.assign(metric, {
    readFrom(source: () => number) {
      read = source
    },
  })
}

/** A gauge with labels that computes its values when it is read. */
export function sampledGauges<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  label: Label,
) {
  let read: (() => Iterable<Sample<Label>>) | undefined
  const metric = new Gauge<Label>({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset()
      for (const { labels, value } of largestByLabel(label, read?.() ?? [])) {
        this.set(labels, value)
      }
    },
  })
  return Object.assign(metric, {
    readFrom(source: () => Iterable<Sample<Label>>) {
      read = source
    },
  })
}

/** The largest value of each label; those beyond the bound share one. */
function largestByLabel<Label extends string>(
  label: Label,
  samples: Iterable<Sample<Label>>,
): Iterable<Sample<Label>> {
  const bound = boundLabels([label])
  const found = new Map<string | number, Sample<Label>>()
  for (const { labels: given, value } of samples) {
    const labels = bound.of(given)
    const key = labels[label] ?? ''
    const known = found.get(key)
    if (known === undefined || known.value < value) found.set(key, { labels, value })
  }
  return found.values()
}

/** Counts what is observed, without a call of the library. */
interface HistogramTally {
  observe(value: number, times: number): void
}

/** A histogram with tallies, which the library reads; one for each value of its label. */
export function tallyHistogram(
  registry: Registry,
  name: string,
  help: string,
  label: string,
  buckets: readonly number[],
) {
  const tallies = new Map<string, ReturnType<typeof createTally>>()
  const metric = new Histogram({
    name,
    help,
    labelNames: [label],
    buckets: [...buckets],
    registers: [registry],
  })
  const read = async () => {
    const values = Array.from(tallies, ([of, tally]) => tally.samples(name, { [label]: of }))
    return { name, help, type: 'histogram', values: values.flat() }
  }
  // The registry asks for the second one.
  Object.assign(metric, { get: read, getForPromString: read })
  return {
    of(value: string): HistogramTally {
      const known = tallies.get(value)
      if (known !== undefined) return known
      const made = createTally(buckets)
      tallies.set(value, made)
      return made
    },
  }
}

function createTally(buckets: readonly number[]) {
  const counts = Array.from({ length: buckets.length + 1 }, () => 0)
  let sum = 0
  return {
    observe(value: number, times: number): void {
      let index = 0
      while (index < buckets.length && value > (buckets[index] ?? 0)) index++
      counts[index] = (counts[index] ?? 0) + times
      sum += value * times
    },
    samples(name: string, labels: Readonly<Record<string, string>>) {
      let count = 0
      const ofBuckets = counts.map((own, index) => {
        count += own
        const le = buckets[index] ?? '+Inf'
        return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count }
      })
      return [
        ...ofBuckets,
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: count },
      ]
    },
  }
}

export function gauge<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  ...labelNames: Label[]
): Gauge<Label> {
  return new Gauge({ name, help, labelNames, registers: [registry] })
}
