import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'

/** One point of time: epoch seconds, and the value then. */
export type Point = readonly [seconds: number, value: number]

const height = 72

/** A small line of the last minutes. The figure beside it says the same in words. */
export function Chart({ points, colour }: { points: readonly Point[]; colour: string }) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(null)
  useEffect(() => {
    const element = place.current
    if (!element) return undefined
    const made = new uPlot(optionsOf(element, colour), dataOf(points), element)
    plot.current = made
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }))
    resized.observe(element)
    return () => {
      resized.disconnect()
      made.destroy()
    }
  }, [colour])
  useEffect(() => plot.current?.setData(dataOf(points)), [points])
  return <div class="chart" ref={place} aria-hidden="true" />
}

const dataOf = (points: readonly Point[]): uPlot.AlignedData => [
  points.map(([seconds]) => seconds),
  points.map(([, value]) => value),
]

function optionsOf(element: HTMLElement, colour: string): uPlot.Options {
  const stroke = getComputedStyle(element).getPropertyValue(colour).trim()
  return {
    width: element.clientWidth,
    height,
    cursor: { show: false },
    legend: { show: false },
    axes: [{ show: false }, { show: false }],
    scales: { y: { range: (_plot, _min, max) => [0, Math.max(1, max * 1.1)] } },
    series: [{}, { stroke, width: 1.5, fill: `${stroke}22`, points: { show: false } }],
    padding: [4, 0, 4, 0],
  }
}
