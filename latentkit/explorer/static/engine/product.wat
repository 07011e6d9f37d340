;; One product of matrices, out = x · w, in 128-bit SIMD.
;;
;; x is [rows, inner], row after row. w is [inner, columns] in panels of eight columns: the eight values of the
;; first inner index, then those of the second, and so on; then the next panel. columns is a multiple of eight.
;; Four rows are worked on at a time, so that each value of w that is read serves four products.
(module
  (memory (import "env" "memory") 1)

  ;; one row of x against one panel
  (func $one (param $x i32) (param $w i32) (param $inner i32) (param $out i32)
    (local $a v128) (local $b v128) (local $s v128)
    (loop $next
      (local.set $s (v128.load32_splat (local.get $x)))
      (local.set $a (f32x4.add (local.get $a) (f32x4.mul (local.get $s) (v128.load (local.get $w)))))
      (local.set $b (f32x4.add (local.get $b) (f32x4.mul (local.get $s) (v128.load offset=16 (local.get $w)))))
      (local.set $x (i32.add (local.get $x) (i32.const 4)))
      (local.set $w (i32.add (local.get $w) (i32.const 32)))
      (br_if $next (local.tee $inner (i32.sub (local.get $inner) (i32.const 1)))))
    (v128.store (local.get $out) (local.get $a))
    (v128.store offset=16 (local.get $out) (local.get $b)))

  ;; four rows of x, $step bytes apart, against one panel; rows of out are $wide bytes apart
  (func $four (param $x i32) (param $step i32) (param $w i32) (param $inner i32) (param $out i32) (param $wide i32)
    (local $x1 i32) (local $x2 i32) (local $x3 i32)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local $b0 v128) (local $b1 v128) (local $b2 v128) (local $b3 v128)
    (local $p v128) (local $q v128) (local $s v128)
    (local.set $x1 (i32.add (local.get $x) (local.get $step)))
    (local.set $x2 (i32.add (local.get $x1) (local.get $step)))
    (local.set $x3 (i32.add (local.get $x2) (local.get $step)))
    (loop $next
      (local.set $p (v128.load (local.get $w)))
      (local.set $q (v128.load offset=16 (local.get $w)))
      (local.set $s (v128.load32_splat (local.get $x)))
      (local.set $a0 (f32x4.add (local.get $a0) (f32x4.mul (local.get $s) (local.get $p))))
      (local.set $b0 (f32x4.add (local.get $b0) (f32x4.mul (local.get $s) (local.get $q))))
      (local.set $s (v128.load32_splat (local.get $x1)))
      (local.set $a1 (f32x4.add (local.get $a1) (f32x4.mul (local.get $s) (local.get $p))))
      (local.set $b1 (f32x4.add (local.get $b1) (f32x4.mul (local.get $s) (local.get $q))))
      (local.set $s (v128.load32_splat (local.get $x2)))
      (local.set $a2 (f32x4.add (local.get $a2) (f32x4.mul (local.get $s) (local.get $p))))
      (local.set $b2 (f32x4.add (local.get $b2) (f32x4.mul (local.get $s) (local.get $q))))
      (local.set $s (v128.load32_splat (local.get $x3)))
      (local.set $a3 (f32x4.add (local.get $a3) (f32x4.mul (local.get $s) (local.get $p))))
      (local.set $b3 (f32x4.add (local.get $b3) (f32x4.mul (local.get $s) (local.get $q))))
      (local.set $x (i32.add (local.get $x) (i32.const 4)))
      (local.set $x1 (i32.add (local.get $x1) (i32.const 4)))
      (local.set $x2 (i32.add (local.get $x2) (i32.const 4)))
      (local.set $x3 (i32.add (local.get $x3) (i32.const 4)))
      (local.set $w (i32.add (local.get $w) (i32.const 32)))
      (br_if $next (local.tee $inner (i32.sub (local.get $inner) (i32.const 1)))))
    (v128.store (local.get $out) (local.get $a0))
    (v128.store offset=16 (local.get $out) (local.get $b0))
    (local.set $out (i32.add (local.get $out) (local.get $wide)))
    (v128.store (local.get $out) (local.get $a1))
    (v128.store offset=16 (local.get $out) (local.get $b1))
    (local.set $out (i32.add (local.get $out) (local.get $wide)))
    (v128.store (local.get $out) (local.get $a2))
    (v128.store offset=16 (local.get $out) (local.get $b2))
    (local.set $out (i32.add (local.get $out) (local.get $wide)))
    (v128.store (local.get $out) (local.get $a3))
    (v128.store offset=16 (local.get $out) (local.get $b3)))

  ;; addresses in bytes, sizes in numbers
  (func (export "product")
    (param $x i32) (param $rows i32) (param $inner i32) (param $w i32) (param $columns i32) (param $out i32)
    (local $step i32) (local $wide i32) (local $panel i32) (local $row i32) (local $from i32) (local $to i32)
    (local.set $step (i32.shl (local.get $inner) (i32.const 2)))
    (local.set $wide (i32.shl (local.get $columns) (i32.const 2)))
    (local.set $panel (i32.shr_u (local.get $columns) (i32.const 3)))
    (loop $panels
      (local.set $row (local.get $rows))
      (local.set $from (local.get $x))
      (local.set $to (local.get $out))
      (block $done
        (loop $fours
          (br_if $done (i32.lt_s (local.get $row) (i32.const 4)))
          (call $four (local.get $from) (local.get $step) (local.get $w) (local.get $inner)
                      (local.get $to) (local.get $wide))
          (local.set $from (i32.add (local.get $from) (i32.shl (local.get $step) (i32.const 2))))
          (local.set $to (i32.add (local.get $to) (i32.shl (local.get $wide) (i32.const 2))))
          (local.set $row (i32.sub (local.get $row) (i32.const 4)))
          (br $fours)))
      (block $none
        (loop $ones
          (br_if $none (i32.eqz (local.get $row)))
          (call $one (local.get $from) (local.get $w) (local.get $inner) (local.get $to))
          (local.set $from (i32.add (local.get $from) (local.get $step)))
          (local.set $to (i32.add (local.get $to) (local.get $wide)))
          (local.set $row (i32.sub (local.get $row) (i32.const 1)))
          (br $ones)))
      (local.set $w (i32.add (local.get $w) (i32.shl (local.get $step) (i32.const 3))))
      (local.set $out (i32.add (local.get $out) (i32.const 32)))
      (br_if $panels (local.tee $panel (i32.sub (local.get $panel) (i32.const 1)))))))
