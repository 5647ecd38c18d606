import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { REFUSALS } from '../src/contract/errors.ts'

const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  ...['docs', 'docs/reference'].flatMap(folder =>
    readdirSync(folder)
      .filter(name => name.endsWith('.md'))
      .map(name => path.join(folder, name)),
  ),
]

/** As GitHub makes them of headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

describe('the docs', () => {
  it.each(PAGES)('link to what is there: %s', page => {
    const text = readFileSync(page, 'utf8').replace(/```[\s\S]*?```/g, '')
    const lost = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter(target => !/^https?:/.test(target))
      .filter(target => {
        const [file = '', anchor] = target.split('#')
        const found = file === '' ? page : path.join(path.dirname(page), file)
        if (!existsSync(found)) return true
        return anchor !== undefined && !anchorsOf(readFileSync(found, 'utf8')).includes(anchor)
      })
    expect(lost).toEqual([])
  })

  it('name tests that are there, where they say what was done', () => {
    const rows = [...readFileSync('docs/reliability.md', 'utf8').matchAll(/^\|.*\| (`[a-z-]+\/.+`) \|$/gm)]
    const named = rows.flatMap(([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name))
    expect(named.length).toBeGreaterThan(30)
    expect(named.filter(name => !existsSync(`test/${name}.test.ts`))).toEqual([])
  })

  it('explain each code that a caller can be told, at an anchor of its name', () => {
    const anchors = anchorsOf(readFileSync('docs/reference/errors.md', 'utf8'))
    expect(Object.keys(REFUSALS).filter(code => !anchors.includes(code))).toEqual([])
  })
})
