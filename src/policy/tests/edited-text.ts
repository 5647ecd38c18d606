/**
 * A source text with some places replaced. Places are as OPA counts them: lines and characters from 1.
 */
import type { Location } from '../compile/syntax.ts'

export interface EditedText {
  /** Nothing happens where the text at that place is not what was expected. */
  replace(at: Location, expected: string, by: string): void
  append(text: string): void
  text(): string
}

export function editText(original: string): EditedText {
  const edits: { start: number; end: number; by: string }[] = []
  const appended: string[] = []
  const starts = [0]
  for (let at = original.indexOf('\n'); at >= 0; at = original.indexOf('\n', at + 1)) starts.push(at + 1)

  function offsetOf({ row, col }: Location): number {
    const start = starts[row - 1] ?? original.length
    const before = Array.from(original.slice(start, starts[row] ?? original.length)).slice(0, col - 1)
    return start + before.join('').length
  }

  return {
    replace(at, expected, by) {
      const start = offsetOf(at)
      const end = start + expected.length
      const taken = edits.some(edit => start < edit.end && edit.start < end)
      if (!taken && expected !== '' && original.startsWith(expected, start)) edits.push({ start, end, by })
    },
    append: text => void appended.push(text),
    text() {
      let text = original
      for (const { start, end, by } of edits.sort((a, b) => b.start - a.start))
        text = text.slice(0, start) + by + text.slice(end)
      return text + appended.map(more => `\n${more}`).join('')
    },
  }
}
