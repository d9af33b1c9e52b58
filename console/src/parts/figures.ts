/** 12,345 */
export const grouped = (value: number): string => Math.round(value).toLocaleString('en-US')

/** 3.4, 120, 12,345: as many digits as a person reads. */
export function rate(value: number): string {
  if (value === 0) return '0'
  if (value < 10) return value.toFixed(1)
  return grouped(value)
}

export function bytes(value: number): string {
  if (value < 1_024) return `${value} B`
  if (value < 1_048_576) return `${(value / 1_024).toFixed(1)} KiB`
  if (value < 1_073_741_824) return `${(value / 1_048_576).toFixed(1)} MiB`
  return `${(value / 1_073_741_824).toFixed(1)} GiB`
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`
  return `${Math.round(ms / 3_600_000)} h`
}

const digits = (value: number, length: number): string => String(value).padStart(length, '0')

/** 12:03:04.117, in the time of the reader. */
export function clockTime(at: string | number): string {
  const date = new Date(at)
  return `${digits(date.getHours(), 2)}:${digits(date.getMinutes(), 2)}:${digits(date.getSeconds(), 2)}.${digits(date.getMilliseconds(), 3)}`
}

/** 2026-11-30 12:03:04, in the time of the reader. */
export function dayTime(at: number): string {
  const date = new Date(at)
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 19).replace('T', ' ')
}
