/**
 * Hides the usage that the gateway asked for from a client that did not: the one event of a stream
 * that reports it and nothing else, and the `"usage": null` in each of the others.
 */

export interface UsageFilter {
  /** @returns What of it goes on: whole events, as they came. */
  push(part: Buffer): Buffer
  /** @returns What was held back as half an event. */
  end(): Buffer
}

export function createUsageFilter(): UsageFilter {
  let rest = ''
  return {
    push(part) {
      // Most parts are whole events without a word of it.
      if (rest === '' && endsEvent(part) && !part.includes(USAGE)) return part
      // One character a byte, so that a character cut in two stays whole.
      const text = rest + part.toString('latin1')
      const end = endOfEvents(text)
      if (end === 0) {
        rest = text
        return Buffer.alloc(0)
      }
      rest = text.slice(end)
      return Buffer.from(withoutUsage(text.slice(0, end)), 'latin1')
    },
    end() {
      const left = Buffer.from(rest, 'latin1')
      rest = ''
      return left
    },
  }
}

const USAGE = Buffer.from('"usage"')
const LINE_FEED = 0x0a

function endsEvent(part: Buffer): boolean {
  return part[part.length - 1] === LINE_FEED && part[part.length - 2] === LINE_FEED
}

/** @returns Where the last whole event ends, behind an empty line; 0 where none does. */
function endOfEvents(text: string): number {
  const [plain, returned] = [text.lastIndexOf('\n\n'), text.lastIndexOf('\n\r\n')]
  return Math.max(plain < 0 ? 0 : plain + 2, returned < 0 ? 0 : returned + 3)
}

function withoutUsage(events: string): string {
  if (!events.includes('"usage"')) return events
  return events
    .split(/(?<=\n\r?\n)/)
    .filter(event => !isUsageAlone(event))
    .map(event => event.replace(LATER_NULL, '').replace(FIRST_NULL, '$1'))
    .join('')
}

/** Within a text its quotes would be escaped. */
const LATER_NULL = /,\s*"usage":\s*null(?=\s*[,}])/
const FIRST_NULL = /^(data: ?\{)\s*"usage":\s*null\s*,?/

function isUsageAlone(event: string): boolean {
  const data = /^data: ?(\{.*\})\s*$/.exec(event.trimEnd())?.[1]
  if (!data?.includes('"usage"')) return false
  try {
    const { choices, usage } = JSON.parse(data) as { choices?: unknown; usage?: unknown }
    return Array.isArray(choices) && choices.length === 0 && typeof usage === 'object' && usage !== null
  } catch {
    return false
  }
}
