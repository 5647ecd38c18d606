/**
 * Hides the usage that the gateway asked for from a client that did not: the one event of a stream
 * that reports it and nothing else.
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
      // One character a byte, so that a character cut in two stays whole.
      const text = rest + part.toString('latin1')
      const end = text.lastIndexOf('\n\n') + 2
      if (end < 2) {
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

function withoutUsage(events: string): string {
  if (!events.includes('"usage"')) return events
  return events
    .split(/(?<=\n\n)/)
    .filter(event => !isUsageAlone(event))
    .join('')
}

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
