/** English (US) words for dates, as in Java since version 9. */
export const monthNames = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const

/** Monday first. */
export const dayNames = [
  'Monday',
  'Tuesday',
  'Wednesday',
  'Thursday',
  'Friday',
  'Saturday',
  'Sunday',
] as const

export const halfDayNames = ['AM', 'PM'] as const

export const eraNames = ['BC', 'AD'] as const

export const longEraNames = ['Before Christ', 'Anno Domini'] as const

/** Shortens months and days to three letters: `Sep`, `Tue`. */
export function abbreviate(name: string): string {
  return name.slice(0, 3)
}
