import { Counter, Gauge } from 'prom-client'
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
  const others = Object.fromEntries(bounded.map((name) => [name, otherLabel]))
  const keyOf = (labels: LabelValues<Label>) => bounded.map((name) => labels[name]).join('\0')
  return {
    of(labels) {
      const key = keyOf(labels)
      if (known.has(key)) return labels
      if (known.size >= labelSetsMax) return { ...labels, ...others }
      known.add(key)
      return labels
    },
    forget: (labels) => void known.delete(keyOf(labels)),
  }
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

export function gauge<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  ...labelNames: Label[]
): Gauge<Label> {
  return new Gauge({ name, help, labelNames, registers: [registry] })
}
