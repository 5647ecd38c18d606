/**
 * WASM binary: a module taken apart and put together again, as far as mending one needs: functions can be
 * given another body, and functions and globals can be added at the end, so that no index moves.
 *
 * See https://webassembly.github.io/spec/core/binary/modules.html
 */

export interface ModuleParts {
  /** Index of a function by its name in the name section. */
  readonly names: ReadonlyMap<string, number>
  /** Index of an imported function by its name. */
  readonly imports: ReadonlyMap<string, number>
  /** How many parameters a function has that is not imported. */
  parameters(index: number): number
  body(index: number): Body
  replace(index: number, body: Body): void
  /** @returns the index of a new function with the type of another */
  append(likeIndex: number, body: Body): number
  /** @returns the index of a new mutable i32 */
  appendGlobal(value: number): number
  toBytes(): Uint8Array
}

/** A function's declaration of locals, and its instructions with their final `end`. */
export interface Body {
  readonly locals: Uint8Array
  readonly code: Uint8Array
}

const SECTION = { custom: 0, type: 1, import: 2, function: 3, global: 6, code: 10 } as const
const PREAMBLE_BYTES = 8

/** @throws RangeError when the bytes end too soon */
export function takeApart(wasm: Uint8Array): ModuleParts {
  const sections = sectionsOf(wasm)
  const section = (id: number) =>
    new Cursor(sections.find(section => section.id === id)?.payload ?? Uint8Array.of(0))
  const arities = aritiesIn(section(SECTION.type))
  const imported = importsIn(section(SECTION.import))
  const functions = section(SECTION.function).vector(cursor => cursor.u32())
  const bodies = section(SECTION.code).vector(cursor => cursor.slice(cursor.u32()))
  const globals = globalsIn(section(SECTION.global))
  const local = (index: number) => index - imported.functions.length

  return {
    names: namesIn(sections),
    imports: new Map(imported.functions.map((name, index) => [name, index])),
    parameters: index => arities[functions[local(index)] as number] as number,
    body(index) {
      const bytes = bodies[local(index)] as Uint8Array
      const cursor = new Cursor(bytes)
      cursor.vector(() => [cursor.u32(), cursor.byte()])
      return { locals: bytes.subarray(0, cursor.at), code: bytes.subarray(cursor.at) }
    },
    replace(index, { locals, code }) {
      bodies[local(index)] = join([locals, code])
    },
    append(likeIndex, { locals, code }) {
      functions.push(functions[local(likeIndex)] as number)
      bodies.push(join([locals, code]))
      return imported.functions.length + functions.length - 1
    },
    appendGlobal(value) {
      globals.added.push(Uint8Array.from([0x7f, 0x01, 0x41, ...i32(value), 0x0b]))
      return imported.globals + globals.count + globals.added.length - 1
    },
    toBytes() {
      const rewritten = new Map<number, Uint8Array>([
        [SECTION.function, vector(functions.map(u32))],
        [SECTION.code, vector(bodies.map(body => join([u32(body.length), body])))],
        [SECTION.global, join([u32(globals.count + globals.added.length), globals.rest, ...globals.added])],
      ])
      const parts = sections.map(({ id, payload }) => {
        const content = rewritten.get(id) ?? payload
        return join([Uint8Array.of(id), u32(content.length), content])
      })
      return join([wasm.subarray(0, PREAMBLE_BYTES), ...parts])
    },
  }
}

/** Unsigned LEB128. */
export function u32(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
    rest >>>= 7
  } while (rest > 0)
  return Uint8Array.from(bytes)
}

/** Signed LEB128, of a number that is not negative. */
export function i32(value: number): Uint8Array {
  const bytes = u32(value)
  const last = bytes[bytes.length - 1] as number
  // A set sign bit would make it negative: one more byte of zeros.
  if ((last & 0x40) === 0) return bytes
  return join([bytes.subarray(0, -1), Uint8Array.of(last | 0x80, 0)])
}

export function join(parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

function vector(parts: readonly Uint8Array[]): Uint8Array {
  return join([u32(parts.length), ...parts])
}

class Cursor {
  at = 0
  constructor(readonly bytes: Uint8Array) {}

  get done(): boolean {
    return this.at >= this.bytes.length
  }

  byte(): number {
    const byte = this.bytes[this.at++]
    if (byte === undefined) throw new RangeError('the module ends too soon')
    return byte
  }

  u32(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
  }

  slice(length: number): Uint8Array {
    if (this.at + length > this.bytes.length) throw new RangeError('the module ends too soon')
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  name(): string {
    return Buffer.from(this.slice(this.u32())).toString()
  }

  vector<T>(read: (cursor: this) => T): T[] {
    return Array.from({ length: this.u32() }, () => read(this))
  }
}

function sectionsOf(wasm: Uint8Array): { id: number; payload: Uint8Array }[] {
  const cursor = new Cursor(wasm)
  cursor.slice(PREAMBLE_BYTES)
  const sections = []
  while (!cursor.done) {
    const id = cursor.byte()
    sections.push({ id, payload: cursor.slice(cursor.u32()) })
  }
  return sections
}

/** @returns how many parameters each type has */
function aritiesIn(types: Cursor): number[] {
  return types.vector(cursor => {
    cursor.byte()
    const parameters = cursor.vector(c => c.byte())
    cursor.vector(c => c.byte())
    return parameters.length
  })
}

/** Kinds of an import: function, table, memory, global. */
function importsIn(cursor: Cursor): { functions: string[]; globals: number } {
  const functions: string[] = []
  let globals = 0
  cursor.vector(() => {
    cursor.name()
    const name = cursor.name()
    const kind = cursor.byte()
    if (kind === 0) {
      functions.push(name)
      cursor.u32()
    } else if (kind === 3) {
      globals++
      cursor.slice(2)
    } else {
      if (kind === 1) cursor.byte()
      const bounded = cursor.byte() & 1
      cursor.u32()
      if (bounded) cursor.u32()
    }
  })
  return { functions, globals }
}

function globalsIn(cursor: Cursor): { count: number; rest: Uint8Array; added: Uint8Array[] } {
  const count = cursor.u32()
  return { count, rest: cursor.bytes.subarray(cursor.at), added: [] }
}

function namesIn(sections: readonly { id: number; payload: Uint8Array }[]): Map<string, number> {
  const names = new Map<string, number>()
  for (const { id, payload } of sections) {
    const cursor = new Cursor(payload)
    if (id !== SECTION.custom || cursor.name() !== 'name') continue
    while (!cursor.done) {
      const kind = cursor.byte()
      const part = new Cursor(cursor.slice(cursor.u32()))
      // Of two functions with one name the first is OPA's own.
      if (kind === 1) {
        const found = part.vector(() => [part.u32(), part.name()] as const)
        for (const [index, name] of found.reverse()) names.set(name, index)
      }
    }
  }
  return names
}
