import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { readTar, type TarFile, writeTar } from '../../../src/policy/bundles/tar.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { thrownBy } from '../../support/thrown.ts'

const file = (name: string, text = name): TarFile => ({ name, bytes: Buffer.from(text) })
const shown = (files: readonly TarFile[]): string[] =>
  files.map(({ name, bytes }) => `${name}=${Buffer.from(bytes).toString()}`)
const LONG = `${'folder/'.repeat(40)}${'x'.repeat(120)}.rego`

/** A header with some of its bytes replaced, and its checksum put right. */
function patched(archive: Buffer, at: number, text: string): Buffer {
  const copy = Buffer.from(archive)
  copy.write(text, at, 'latin1')
  copy.write('        ', 148)
  const sum = copy.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return copy
}

describe('a tar archive', () => {
  it('is read as it was written, names of any length and bytes of any kind included', () => {
    const files = [
      file('a'),
      file('empty', ''),
      file(LONG),
      file('ü/ö = ä', '\0\n'),
      file('b', 'x'.repeat(1024)),
    ]
    expect(shown(readTar(writeTar(files)))).toEqual(shown(files))
  })

  it('depends on the files alone', () => {
    expect(writeTar([file('a'), file(LONG)])).toEqual(writeTar([file('a'), file(LONG)]))
  })

  it('is one that the tar of the system reads', () => {
    const folder = temporaryFolder({ 'a.tar': writeTar([file('a'), file(LONG, 'long')]) })
    execFileSync('tar', ['-xf', 'a.tar'], { cwd: folder })
    expect(readFileSync(path.join(folder, LONG), 'utf8')).toBe('long')
  })

  it.each(['ustar', 'gnu', 'pax'])('is read when the tar of the system wrote it in the format %s', format => {
    const name = `${'folder/'.repeat(20)}file`
    const folder = temporaryFolder({ [name]: 'deep', short: 'flat' })
    execFileSync('tar', ['-cf', 'a.tar', `--format=${format}`, './short', 'folder'], { cwd: folder })
    expect(shown(readTar(readFileSync(path.join(folder, 'a.tar'))))).toEqual(['short=flat', `${name}=deep`])
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('x'.repeat(2000))],
    ['an archive that ends inside a file', writeTar([file('a', 'x'.repeat(600))]).subarray(0, 700)],
    ['a header that was changed', Buffer.from(writeTar([file('a')])).fill('b', 0, 1)],
    ['the same name twice', writeTar([file('a', '1'), file('/a', '2')])],
    ['the same name twice, one written otherwise', writeTar([file('a', '1'), file('./a', '2')])],
    ['a way out of the archive', writeTar([file('../a')])],
    ['a file without a name', writeTar([file('../')])],
    ['a symbolic link', patched(writeTar([file('a')]), 156, '2')],
    ['a hard link', patched(writeTar([file('a')]), 156, '1')],
    ['a size that is none', patched(writeTar([file('a')]), 124, 'oooooooooooo')],
  ])('is refused: %s', (_what, archive) => {
    expect(thrownBy(() => readTar(archive)).code).toBe('bad_archive')
  })
})
