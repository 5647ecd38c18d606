import { describe, expect, it } from 'vitest'
import { quote } from '../../src/contract/quote.ts'

describe('quote', () => {
  it('writes each character as JSON.stringify does', () => {
    for (let code = 0; code <= 0xffff; code++) {
      const text = `a${String.fromCharCode(code)}z`
      if (quote(text) !== JSON.stringify(text)) expect(quote(text), `code ${code}`).toBe(JSON.stringify(text))
    }
  })

  it.each(['', 'plain', 'x'.repeat(10_000), `${'x'.repeat(300)}"`, '\u{1f600}', 'a\ud800'])(
    'writes %j as JSON.stringify does',
    text => expect(quote(text)).toBe(JSON.stringify(text)),
  )
})
