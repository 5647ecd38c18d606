import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRing } from '../../src/telemetry/ring.ts'

describe('a ring', () => {
  it('keeps the latest texts whole, as many as fit, whatever their lengths', () => {
    const texts = fc.array(fc.string({ unit: 'binary', maxLength: 24 }), { maxLength: 60 })
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 12 }), (all, mostTexts) => {
        const ring = createRing({ mostTexts, mostBytes: 200 })
        const kept: string[] = []
        for (const text of all) if (ring.put(text)) kept.push(text)
        expect(ring.next).toBe(kept.length)
        expect(ring.next - ring.first).toBeLessThanOrEqual(mostTexts)
        if (kept.length > 0) expect(ring.first).toBeLessThan(ring.next)
        for (let number = ring.first; number < ring.next; number++) {
          const bytes = Buffer.from(kept[number] as string)
          expect(ring.text(number)).toBe(bytes.toString())
          expect(ring.bytes(number, 0, bytes.length)).toBe(bytes.toString('latin1'))
        }
        expect(ring.text(ring.first - 1)).toBeUndefined()
        expect(ring.text(ring.next)).toBeUndefined()
      }),
    )
  })

  it('uses all of its memory before it forgets', () => {
    const ring = createRing({ mostTexts: 100, mostBytes: 40 })
    for (const text of ['0123456789', 'abcdefghij', 'ABCDEFGHIJ', 'klmnopqrst']) ring.put(text)
    expect(ring.first).toBe(0)
    ring.put('u')
    expect([ring.first, ring.text(1), ring.text(4)]).toEqual([1, 'abcdefghij', 'u'])
  })

  it('does not take a text that would push out most of the others', () => {
    const ring = createRing({ mostTexts: 100, mostBytes: 40 })
    expect(ring.put('x'.repeat(11))).toBe(false)
    expect([ring.first, ring.next]).toEqual([0, 0])
  })
})
