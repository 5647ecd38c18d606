/** Zone names: abbreviations. */
export function zoneAbbreviation(_zone: string, offset: number, _offsetAt: (s: number) => number): string {
  const away = Math.abs(offset)
  return `${offset < 0 ? '-' : '+'}${String(Math.floor(away / 3600)).padStart(2, '0')}`
}
